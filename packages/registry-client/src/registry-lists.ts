import type { Access } from '@registry-manager/oci'
import { repositoryAccess } from '@registry-manager/oci'
import type { SendToRegistry } from './registry-request.ts'
import { registryError } from './registry-request.ts'

export interface RepositoriesPage {
  readonly names: readonly string[]
  /** The name after which the next page starts; undefined on the last page. */
  readonly next: string | undefined
}

/** The lists of the registry. */
export interface RegistryLists {
  /** One page of the catalog, in the registry's own order, which is not byte order. */
  listRepositories(after: string | undefined): Promise<RepositoriesPage>
  /** The tags of a repository; an empty list for an unknown repository. */
  listTags(repository: string): Promise<readonly string[]>
}

/** The maximum of distribution 3, which walks its storage from the start for every page. */
const PAGE = 1000
/** On object storage one page takes minutes. */
const TIMEOUT_MS = 290_000
const CATALOG: Access = { type: 'registry', name: 'catalog', actions: ['*'] }

/** Source: OCI distribution-spec 1.1, "Listing Tags"; distribution, "HTTP API V2", "Catalog". */
export function createRegistryLists(send: SendToRegistry): RegistryLists {
  const list = async (path: string, access: Access, field: 'repositories' | 'tags') => {
    const response = await send('GET', path, access, 200, { timeoutMs: TIMEOUT_MS })
    if (response === undefined) return { names: [], next: undefined }
    const names = namesIn(response.raw, field)
    if (names === undefined) {
      throw registryError(`GET ${path} at the registry returned JSON of an unexpected shape`)
    }
    return { names, next: nextOf(response.headers.get('link')) }
  }

  return {
    async listRepositories(after) {
      const query = new URLSearchParams({ n: String(PAGE), ...(after !== undefined && { last: after }) })
      return list(`/v2/_catalog?${query}`, CATALOG, 'repositories')
    },

    async listTags(repository) {
      const access = repositoryAccess(repository, 'pull')
      const tags: string[] = []
      // Sent without `n`, because distribution reads all tags again for every page. If a registry returns pages
      // nevertheless, their links are followed.
      for (let path = `/v2/${repository}/tags/list`, last: string | undefined; ;) {
        const { names, next } = await list(path, access, 'tags')
        tags.push(...names)
        if (next === undefined || next === last) return tags
        last = next
        path = `/v2/${repository}/tags/list?${new URLSearchParams({ last: next })}`
      }
    },
  }
}

/** The names of a list, which may be null in JSON; undefined for any other shape. */
function namesIn(raw: Buffer, field: string): string[] | undefined {
  let body: unknown
  try {
    body = JSON.parse(raw.toString('utf8'))
  } catch {
    return undefined
  }
  const names = (Object(body) as Record<string, unknown>)[field]
  if (names === null) return []
  return Array.isArray(names) && names.every((name) => typeof name === 'string') ? names : undefined
}

/** `last` of a `Link: <…>; rel="next"`. Source: RFC 8288 §3. */
function nextOf(link: string | null): string | undefined {
  const target = /<([^>]*)>\s*;\s*rel="?next"?/.exec(link ?? '')?.[1]
  if (target === undefined) return undefined
  return new URL(target, 'http://registry').searchParams.get('last') ?? undefined
}
