import { Readable } from 'node:stream'
import { isRepositoryName } from '@registry-manager/oci'
import { ProblemError, problemJson, refuseDuplicateFields, setErrorFormat } from '@registry-manager/http'
import { readCredentials } from '@registry-manager/principal'
import type { UnavailableDependency } from '@registry-manager/http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { IndexQueries, RepositoryRow } from './index-queries.ts'
import type { RemovePorts } from '../delete/delete.ts'
import { parseScopeBody } from './scope-body.ts'
import { deleteRepository } from '../delete/delete.ts'
import type { Action, RepositoryScope, Requester } from './visibility.ts'
import { judge, managementVisibility, mayList } from './visibility.ts'
import { listRepositories, writeRepository } from './repository-json.ts'
import type { RequesterOptions } from './require-principal.ts'
import { findRequester } from './require-principal.ts'

export interface RepositoriesOptions extends RequesterOptions, RemovePorts {
  readonly queries: IndexQueries
  readonly unavailableDependency: UnavailableDependency
}

const BASE = '/image-manager/api/v1'
const MAX_PAGE = 1000

/** The image management API of seed 001. */
export async function repositories(app: FastifyInstance, options: RepositoriesOptions): Promise<void> {
  const { index, queries } = options
  setErrorFormat(app, problemJson, options.unavailableDependency)
  await readCredentials(app)
  // Whatever type a client says that its body has (curl says a form): it is read as JSON.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))

  app.get(`${BASE}/repositories`, async (request, reply) => {
    const requester = await findRequester(options, request)
    if (!mayList(requester)) throw forbidden('listing takes an identity token, or registry:catalog:*')
    const page = pageOf(request)
    const visibility = managementVisibility(requester.account)
    const list = listRepositories(queries, visibility, page)
    if (page.limit !== undefined) {
      const { body, next } = await list.page(page.limit)
      if (next !== undefined) reply.header('link', `<${nextPage(page, next)}>; rel="next"`)
      return sendJson(reply, body)
    }
    return sendJson(reply, list.whole())
  })

  app.get(`${BASE}/repositories/*`, async (request, reply) => {
    const repository = await permitted(request, 'get')
    return sendJson(reply, writeRepository(queries, repository))
  })

  app.put(`${BASE}/repositories/*`, async (request, reply) => {
    const repository = await permitted(request, 'set-scope')
    await index.setScope(repository.id, scopeOf(request.body, repository.name))
    return reply.type('text/plain').send('OK')
  })

  app.delete(`${BASE}/repositories/*`, async (request, reply) => {
    const repository = await permitted(request, 'delete')
    await deleteRepository(options, repository.name)
    return reply.code(200).send()
  })

  /**
   * A repository that only a deletion finds: one whose deletion was interrupted, one that has blobs and never had a
   * manifest, or one whose manifests the index refuses. The registry is asked only for those who may delete it.
   */
  const findDeletable = async (requester: Requester, name: string): Promise<RepositoryRow | undefined> => {
    const interrupted = await queries.findBeingDeleted(name)
    if (interrupted !== undefined) return interrupted
    if (await index.hasBlobs(name)) return { id: '', name, scope: 'namespace' }
    if (judge(requester, 'delete', name, 'namespace') !== 'allowed') return undefined
    // The registry may have what the index refuses, such as a manifest with too many descriptors.
    if ((await options.registry.listTags(name)).length === 0) return undefined
    await index.nameRepository(name)
    return queries.findRepository(name)
  }

  /** The repository that a request names, if its sender may do that to it. */
  const permitted = async (
    request: FastifyRequest,
    action: Exclude<Action, 'list'>,
  ): Promise<RepositoryRow> => {
    const requester = await findRequester(options, request)
    const name = (request.params as { '*': string })['*'].replace(/\/$/, '')
    if (!isRepositoryName(name)) {
      throw new ProblemError({
        status: 400,
        detail: `${JSON.stringify(name)} is no repository name`,
        field: 'repo',
      })
    }
    const repository =
      (await queries.findRepository(name)) ??
      (action === 'delete' ? await findDeletable(requester, name) : undefined)
    switch (judge(requester, action, name, repository?.scope)) {
      case 'allowed':
        if (repository !== undefined) return repository
      // falls through: what is not there is not visible
      case 'not-visible':
        throw new ProblemError({ status: 404, detail: `there is no repository ${name} that you can see` })
      case 'forbidden':
        throw forbidden(`this account may see ${name}, but not change it`)
      case 'insufficient':
        throw forbidden(whatIsMissing(action, name))
    }
  }
}

/** As fast as the client reads: what is not sent yet is not read from the index. */
function sendJson(reply: FastifyReply, pieces: AsyncIterable<string>) {
  return reply.type('application/json').send(Readable.from(pieces, { objectMode: false }))
}

function forbidden(detail: string): ProblemError {
  return new ProblemError({ status: 403, detail })
}

function whatIsMissing(action: Exclude<Action, 'list'>, name: string): string {
  if (action === 'set-scope') {
    return 'setting a scope takes a password, or an identity token (one that was had without a scope)'
  }
  const needed = `repository:${name}:${action === 'get' ? 'pull' : 'delete'}`
  return `this token does not forward ${needed}: ask for a token with that scope, or use an identity token`
}

function scopeOf(body: unknown, name: string): RepositoryScope {
  const parsed = parseScopeBody(jsonOf(body), name)
  if ('scope' in parsed) return parsed.scope
  throw new ProblemError({ status: 400, ...parsed })
}

/** Undefined for what is no JSON; throws 400 where a field is given twice. */
function jsonOf(body: unknown): unknown {
  const text = String(body)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  refuseDuplicateFields(text)
  return value
}

interface ListPage {
  readonly namespace?: string
  readonly search?: string
  readonly limit?: number
  readonly last: string
}

function pageOf({ query }: FastifyRequest): ListPage {
  const given = query as Record<string, unknown>
  const text = (field: string): string | undefined => {
    const value = given[field]
    // Postgres knows no NUL in text, and would answer with an error.
    if (value === undefined || (typeof value === 'string' && !value.includes('\0'))) return value
    throw new ProblemError({ status: 400, detail: `${field} must be given once, without NUL`, field })
  }
  const limit = text('limit')
  if (limit !== undefined && !/^[1-9]\d{0,5}$/.test(limit)) {
    throw new ProblemError({
      status: 400,
      detail: 'limit must be a whole number of 1 or more',
      field: 'limit',
    })
  }
  return {
    namespace: text('namespace'),
    search: text('search'),
    limit: limit === undefined ? undefined : Math.min(Number(limit), MAX_PAGE),
    last: text('last') ?? '',
  }
}

function nextPage({ namespace, search, limit }: ListPage, last: string): string {
  const given = Object.entries({ namespace, search, limit: limit?.toString(), last })
  const query = new URLSearchParams(
    given.filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  return `${BASE}/repositories?${query}`
}
