import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { isDigest, isRepositoryName } from '@registry-manager/oci'
import { queryOf } from '@registry-manager/http'
import type { FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import type { BrowseRegistry, ListOptions } from './browse-registry.ts'
import {
  REGISTRY_NAME,
  artifactBody,
  registryBody,
  registryPath,
  repositoryBody,
  repositoryPath,
} from './contents-json.ts'
import { BASE, notFound, pageLinks, pageOf } from './provider-format.ts'
import type { ListQuery } from './registries-schemas.ts'
import { DEFAULT_ORDER, REGISTRIES_SCHEMAS as SCHEMAS } from './registries-schemas.ts'

export interface RegistriesRoutesOptions {
  readonly browseRegistry: BrowseRegistry
  /** `host[:port]` of the public URL. */
  readonly hostname: string
  /** Returns the id of this registry if a request's path names it; throws 404 otherwise. */
  readonly registryOf: (request: FastifyRequest) => Promise<string>
}

const REGISTRY = '/registries/:registryId'
const REPOSITORY = `${REGISTRY}/repositories/:name`
/** By default OpenAPI documents have no HEAD. */
const DOCUMENTED_HEAD = { swagger: { exposeHeadRoute: true } }

/** This installation as the one registry of the provider's API, read only. */
export const registriesRoutes: FastifyPluginAsyncTypebox<RegistriesRoutesOptions> = async (
  app,
  { browseRegistry, hostname, registryOf },
) => {
  app.get('/registries', { schema: SCHEMAS.registries }, async ({ query }) => {
    const registry = registryBody(await browseRegistry.registry(), hostname)
    const items = REGISTRY_NAME.includes(query['filter.name'] ?? '') ? [registry] : []
    const href = `${BASE}/registries`
    const links = { next: '', previous: '', self: href }
    const pagination = { limit: items.length, token: '' }
    return { id: registry.id, type: 'collection', href, items, pagination, _links: links }
  })

  /** 200 for a name that is taken, 404 for one that is available. Source: the provider's SDK, `namesCheckUsage`. */
  app.head('/names/:name', { schema: SCHEMAS.name, config: DOCUMENTED_HEAD }, async ({ params }, reply) =>
    reply.code(params.name.toLowerCase() === REGISTRY_NAME ? 200 : 404).send(null),
  )

  app.get(REGISTRY, { schema: SCHEMAS.registry }, async (request) => {
    await registryOf(request)
    return registryBody(await browseRegistry.registry(), hostname)
  })

  app.get(`${REGISTRY}/repositories`, { schema: SCHEMAS.repositories }, async (request) => {
    const registryId = await registryOf(request)
    const list = listOf(request.query)
    const { items, total } = await browseRegistry.repositories({
      ...list,
      search: request.query['filter.name'],
    })
    const bodies = items.map((one) => repositoryBody(registryId, one))
    return listBody('repositories', `${registryPath(registryId)}/repositories`, request, list, bodies, total)
  })

  app.get(REPOSITORY, { schema: SCHEMAS.repository }, async (request) => {
    const registryId = await registryOf(request)
    const repository = await browseRegistry.repository(repositoryOf(request.params))
    if (repository === undefined) throw notFound('repository')
    return repositoryBody(registryId, repository)
  })

  app.get(`${REGISTRY}/artifacts`, { schema: SCHEMAS.artifacts }, async (request) => {
    const registryId = await registryOf(request)
    const list = listOf(request.query)
    const { items, total } = await browseRegistry.artifacts(list)
    const bodies = items.map((one) => artifactBody(registryId, one))
    return listBody('artifacts', `${registryPath(registryId)}/artifacts`, request, list, bodies, total)
  })

  app.get(`${REPOSITORY}/artifacts`, { schema: SCHEMAS.artifactsOfRepository }, async (request) => {
    const registryId = await registryOf(request)
    const repository = repositoryOf(request.params)
    const list = listOf(request.query)
    const found = await browseRegistry.artifactsOf(repository, list)
    if (found === undefined) throw notFound('repository')
    const bodies = found.items.map((one) => artifactBody(registryId, one))
    const href = `${repositoryPath(registryId, repository)}/artifacts`
    return listBody('artifacts', href, request, list, bodies, found.total)
  })

  app.get(`${REPOSITORY}/artifacts/:digest`, { schema: SCHEMAS.artifact }, async (request) => {
    const registryId = await registryOf(request)
    const { digest } = request.params
    if (!isDigest(digest)) throw notFound('artifact')
    const artifact = await browseRegistry.artifact(repositoryOf(request.params), digest)
    if (artifact === undefined) throw notFound('artifact')
    return artifactBody(registryId, artifact)
  })
}

/** The repository that a path names, percent-encoded into one segment. */
function repositoryOf({ name }: { readonly name: string }): string {
  if (!isRepositoryName(name)) throw notFound('repository')
  return name
}

function listOf({ orderBy = DEFAULT_ORDER, ...page }: Static<typeof ListQuery>): ListOptions {
  return { ...pageOf(page), orderBy }
}

/** Source: `RepositoryReadList`, `ArtifactReadList`. */
function listBody<Item>(
  id: string,
  href: string,
  { url }: FastifyRequest,
  { offset, limit }: ListOptions,
  items: Item[],
  total: number,
) {
  const { self, next, previous } = pageLinks(href, queryOf(url), { offset, limit }, total)
  return { id, type: 'collection', href, items, offset, limit, _links: { prev: previous, self, next } }
}
