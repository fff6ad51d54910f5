import { isDigest, isRepositoryName } from '@registry-manager/oci'
import { ProblemError, ServiceCallError } from '@registry-manager/http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { TSchema } from 'typebox'
import type { Installation } from './installation.ts'
import type { ContentsPage, RegistryContents } from './registry-contents.ts'
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
import { queryOf } from '../access-tokens/form.ts'
import type { Page } from './provider-format.ts'
import { BASE, notFound, pageLinks, parsePage } from './provider-format.ts'

export interface RegistriesOptions {
  readonly contents: RegistryContents
  /** `host[:port]` of the public URL. */
  readonly hostname: string
  readonly findInstallation: () => Promise<Installation>
  /** The id of this registry, when it is the one that a request names; throws 404 otherwise. */
  readonly registryOf: (request: FastifyRequest) => Promise<string>
}

const REGISTRY = '/registries/:registryId'
const REPOSITORY = `${REGISTRY}/repositories/:name`
const BY_NAME = { filters: ['filter.name'] }
const answers = <Body extends TSchema>(body: Body) => ({ schema: { response: { 200: body } } })
const ONE = { offset: 0, limit: 1, orderBy: 'name' }

/** This installation as the one registry of the provider's API, and what is in it. Read only. */
export async function registries(app: FastifyInstance, options: RegistriesOptions): Promise<void> {
  const { contents, hostname, findInstallation, registryOf } = options

  /** The registry is told of even while nobody knows what it holds. */
  const usage = () =>
    contents.usage().catch((error: unknown) => {
      if (error instanceof ServiceCallError) return { bytes: null, updatedAt: null }
      throw error
    })
  const registry = async () => registryBody(await findInstallation(), hostname, await usage())

  app.get('/registries', { ...answers(RegistriesBody), config: BY_NAME }, async (request) => {
    const { search = '' } = asked(request, '')
    const only = await registry()
    const items = only.properties.name.includes(search) ? [only] : []
    const href = `${BASE}/registries`
    const links = { next: '', previous: '', self: href }
    const pagination = { limit: items.length, token: '' }
    return { id: only.id, type: 'collection', href, items, pagination, _links: links }
  })

  /** Whether a name is taken: 200 for ours, 404 for one that is available. Source: the provider's SDK, `namesCheckUsage`. */
  app.head('/names/:name', async (request, reply) => {
    const { name } = request.params as { name: string }
    return reply.code(name.toLowerCase() === REGISTRY_NAME ? 200 : 404).send()
  })

  app.get(REGISTRY, answers(RegistryBody), async (request) => {
    await registryOf(request)
    return registry()
  })

  app.get(`${REGISTRY}/repositories`, { ...answers(RepositoriesBody), config: BY_NAME }, async (request) => {
    const registryId = await registryOf(request)
    const { query, page, search } = asked(request, '-lastPush')
    const { repositories, total } = await contents.repositories({ ...page, search })
    const items = repositories.map((one) => repositoryBody(registryId, one))
    return list('repositories', `${registryPath(registryId)}/repositories`, query, page, items, total)
  })

  app.get(REPOSITORY, answers(RepositoryBody), async (request) => {
    const registryId = await registryOf(request)
    const found = await contents.repositories({ ...ONE, name: nameOf(request) })
    const [repository] = found.repositories
    if (repository === undefined) throw notFound('repository')
    return repositoryBody(registryId, repository)
  })

  app.get(`${REGISTRY}/artifacts`, answers(ArtifactsBody), async (request) => {
    const registryId = await registryOf(request)
    const { query, page } = asked(request, '-lastPush')
    const { artifacts, total } = (await contents.artifacts(page)) ?? { artifacts: [], total: 0 }
    const items = artifacts.map((one) => artifactBody(registryId, one))
    return list('artifacts', `${registryPath(registryId)}/artifacts`, query, page, items, total)
  })

  app.get(`${REPOSITORY}/artifacts`, answers(ArtifactsBody), async (request) => {
    const registryId = await registryOf(request)
    const repository = nameOf(request)
    const { query, page } = asked(request, '-lastPush')
    const found = await contents.artifacts({ ...page, repository })
    if (found === undefined) throw notFound('repository')
    const items = found.artifacts.map((one) => artifactBody(registryId, one))
    return list(
      'artifacts',
      `${repositoryPath(registryId, repository)}/artifacts`,
      query,
      page,
      items,
      found.total,
    )
  })

  app.get(`${REPOSITORY}/artifacts/:digest`, answers(ArtifactBody), async (request) => {
    const registryId = await registryOf(request)
    const { digest } = request.params as { digest: string }
    if (!isDigest(digest)) throw notFound('artifact')
    const found = await contents.artifacts({ ...ONE, repository: nameOf(request), digest })
    const [artifact] = found?.artifacts ?? []
    if (artifact === undefined) throw notFound('artifact')
    return artifactBody(registryId, artifact)
  })
}

/** A repository as a path names it, percent-encoded into one segment. */
function nameOf(request: FastifyRequest): string {
  const { name } = request.params as { name: string }
  if (!isRepositoryName(name)) throw notFound('repository')
  return name
}

interface Asked {
  readonly query: URLSearchParams
  readonly page: ContentsPage
  readonly search: string | undefined
}

function asked(request: FastifyRequest, orderBy: string): Asked {
  const query = queryOf(request.url)
  const search = query.get('filter.name') ?? undefined
  // Postgres knows no NUL in text, and would answer with an error.
  if (search?.includes('\0')) {
    throw new ProblemError({ status: 400, detail: 'filter.name must be without NUL', field: 'filter.name' })
  }
  return { query, page: { ...parsePage(query), orderBy: query.get('orderBy') ?? orderBy }, search }
}

/** Source: `RepositoryReadList`, `ArtifactReadList`. */
function list(
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
