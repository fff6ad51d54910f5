import { isDigest, isRepositoryName } from '@registry-manager/oci'
import { ProblemError, queryOf } from '@registry-manager/http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { TSchema } from 'typebox'
import type { BrowseRegistry } from './browse-registry.ts'
import {
  ArtifactBody,
  ArtifactsBody,
  REGISTRY_NAME,
  RegistriesBody,
  RegistryBody,
  RepositoriesBody,
  RepositoryBody,
  artifactBody,
  registryBody,
  registryPath,
  repositoryBody,
  repositoryPath,
} from './contents-json.ts'
import type { Page } from './provider-format.ts'
import { BASE, notFound, pageLinks, parsePage } from './provider-format.ts'

export interface RegistriesRoutesOptions {
  readonly browseRegistry: BrowseRegistry
  /** `host[:port]` of the public URL. */
  readonly hostname: string
  /** Returns the id of this registry if a request's path names it; throws 404 otherwise. */
  readonly registryOf: (request: FastifyRequest) => Promise<string>
}

const REGISTRY = '/registries/:registryId'
const REPOSITORY = `${REGISTRY}/repositories/:name`
const NAME_FILTER = { filters: ['filter.name'] }
const responds = <Body extends TSchema>(body: Body) => ({ schema: { response: { 200: body } } })

/** This installation as the one registry of the provider's API, read only. */
export async function registriesRoutes(
  app: FastifyInstance,
  { browseRegistry, hostname, registryOf }: RegistriesRoutesOptions,
): Promise<void> {
  app.get('/registries', { ...responds(RegistriesBody), config: NAME_FILTER }, async (request) => {
    const { search = '' } = listRequestOf(request)
    const registry = registryBody(await browseRegistry.registry(), hostname)
    const items = REGISTRY_NAME.includes(search) ? [registry] : []
    const href = `${BASE}/registries`
    const links = { next: '', previous: '', self: href }
    const pagination = { limit: items.length, token: '' }
    return { id: registry.id, type: 'collection', href, items, pagination, _links: links }
  })

  /** 200 for a name that is taken, 404 for one that is available. Source: the provider's SDK, `namesCheckUsage`. */
  app.head('/names/:name', async (request, reply) => {
    const { name } = request.params as { name: string }
    return reply.code(name.toLowerCase() === REGISTRY_NAME ? 200 : 404).send()
  })

  app.get(REGISTRY, responds(RegistryBody), async (request) => {
    await registryOf(request)
    return registryBody(await browseRegistry.registry(), hostname)
  })

  app.get(
    `${REGISTRY}/repositories`,
    { ...responds(RepositoriesBody), config: NAME_FILTER },
    async (request) => {
      const registryId = await registryOf(request)
      const { query, list, search } = listRequestOf(request)
      const { items, total } = await browseRegistry.repositories({ ...list, search })
      const bodies = items.map((one) => repositoryBody(registryId, one))
      return listBody('repositories', `${registryPath(registryId)}/repositories`, query, list, bodies, total)
    },
  )

  app.get(REPOSITORY, responds(RepositoryBody), async (request) => {
    const registryId = await registryOf(request)
    const repository = await browseRegistry.repository(repositoryOf(request))
    if (repository === undefined) throw notFound('repository')
    return repositoryBody(registryId, repository)
  })

  app.get(`${REGISTRY}/artifacts`, responds(ArtifactsBody), async (request) => {
    const registryId = await registryOf(request)
    const { query, list } = listRequestOf(request)
    const { items, total } = await browseRegistry.artifacts(list)
    const bodies = items.map((one) => artifactBody(registryId, one))
    return listBody('artifacts', `${registryPath(registryId)}/artifacts`, query, list, bodies, total)
  })

  app.get(`${REPOSITORY}/artifacts`, responds(ArtifactsBody), async (request) => {
    const registryId = await registryOf(request)
    const repository = repositoryOf(request)
    const { query, list } = listRequestOf(request)
    const found = await browseRegistry.artifactsOf(repository, list)
    if (found === undefined) throw notFound('repository')
    const bodies = found.items.map((one) => artifactBody(registryId, one))
    const href = `${repositoryPath(registryId, repository)}/artifacts`
    return listBody('artifacts', href, query, list, bodies, found.total)
  })

  app.get(`${REPOSITORY}/artifacts/:digest`, responds(ArtifactBody), async (request) => {
    const registryId = await registryOf(request)
    const { digest } = request.params as { digest: string }
    if (!isDigest(digest)) throw notFound('artifact')
    const artifact = await browseRegistry.artifact(repositoryOf(request), digest)
    if (artifact === undefined) throw notFound('artifact')
    return artifactBody(registryId, artifact)
  })
}

/** The repository that a path names, percent-encoded into one segment. */
function repositoryOf(request: FastifyRequest): string {
  const { name } = request.params as { name: string }
  if (!isRepositoryName(name)) throw notFound('repository')
  return name
}

function listRequestOf(request: FastifyRequest) {
  const query = queryOf(request.url)
  const search = query.get('filter.name') ?? undefined
  // Postgres accepts no NUL in text and would fail.
  if (search?.includes('\0')) {
    throw new ProblemError({
      status: 400,
      detail: 'filter.name must not contain NUL',
      field: 'filter.name',
    })
  }
  return { query, list: { ...parsePage(query), orderBy: query.get('orderBy') ?? '-lastPush' }, search }
}

/** Source: `RepositoryReadList`, `ArtifactReadList`. */
function listBody(
  id: string,
  href: string,
  query: URLSearchParams,
  page: Page,
  items: readonly object[],
  total: number,
) {
  const { self, next, previous } = pageLinks(href, query, page, total)
  const { offset, limit } = page
  return { id, type: 'collection', href, items, offset, limit, _links: { prev: previous, self, next } }
}
