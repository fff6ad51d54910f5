import type { Access } from '@registry-manager/oci'
import { repositoryAccess } from '@registry-manager/oci'
import type { RegistryRequest } from './registry-request.ts'
import { registryFault } from './registry-request.ts'

export interface RepositoriesPage {
  readonly names: readonly string[]
  /** What the next page begins after; undefined when this is the last. */
  readonly next: string | undefined
}

/** What the registry says that it holds. */
export interface RegistryLists {
  /** One page of its catalog, in its own order (which is not byte order). */
  listRepositories(after: string | undefined): Promise<RepositoriesPage>
  /** The tags of a repository; none of one that it does not know. */
  listTags(repository: string): Promise<readonly string[]>
}

/** distribution 3 gives no more, and every page costs it a walk from the beginning. */
const PAGE = 1000
/** On object storage a page takes a walk of minutes. */
const TIMEOUT_MS = 290_000
const CATALOG: Access = { type: 'registry', name: 'catalog', actions: ['*'] }

/** Source: OCI distribution-spec 1.1, "Listing Tags"; distribution, "HTTP API V2", "Catalog". */
export function createRegistryLists(send: RegistryRequest): RegistryLists {
  const list = async (path: string, access: Access, field: 'repositories' | 'tags') => {
    const answer = await send('GET', path, access, 200, { timeoutMs: TIMEOUT_MS })
    if (answer === undefined) return { names: [], next: undefined }
    const names = namesIn(answer.raw, field)
    if (names === undefined)
      throw registryFault(`GET ${path} at the registry was answered in an unknown shape`)
    return { names, next: nextOf(answer.headers.get('link')) }
  }

  return {
    async listRepositories(after) {
      const query = new URLSearchParams({ n: String(PAGE), ...(after !== undefined && { last: after }) })
      return list(`/v2/_catalog?${query}`, CATALOG, 'repositories')
    },

    async listTags(repository) {
      const access = repositoryAccess(repository, 'pull')
      const tags: string[] = []
      // Without n: distribution reads all of them for every page. Whoever pages all the same is followed.
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

/** The names of a list; it may be null. Undefined where there is no such list. */
function namesIn(raw: Buffer, field: string): string[] | undefined {
  let answer: unknown
  try {
    answer = JSON.parse(raw.toString('utf8'))
  } catch {
    return undefined
  }
  const names = (Object(answer) as Record<string, unknown>)[field]
  if (names === null) return []
  return Array.isArray(names) && names.every((name) => typeof name === 'string') ? names : undefined
}

/** `last` of a `Link: <…>; rel="next"`. Source: RFC 8288 §3. */
function nextOf(link: string | null): string | undefined {
  const target = /<([^>]*)>\s*;\s*rel="?next"?/.exec(link ?? '')?.[1]
  if (target === undefined) return undefined
  return new URL(target, 'http://registry').searchParams.get('last') ?? undefined
}
