import { Readable } from 'node:stream'
import { isRepositoryName } from '@registry-manager/oci'
import { ProblemError, problemJson, refuseDuplicateFields, setErrorFormat } from '@registry-manager/http'
import type { UnavailableDependency } from '@registry-manager/http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Action } from './authorize.ts'
import type { ManageRepositories } from './manage-repositories.ts'
import type { Repository, RepositoryScope } from './repository.ts'
import type { RequirePrincipalOptions } from './require-principal.ts'
import { principalOf, requirePrincipal } from './require-principal.ts'
import { parseScopeBody } from './scope-body.ts'

export interface RepositoriesRoutesOptions extends RequirePrincipalOptions {
  readonly manageRepositories: ManageRepositories
  readonly unavailableDependency: UnavailableDependency
}

const BASE = '/image-manager/api/v1'
const MAX_PAGE = 1000

/** The image management API of seed 001. */
export async function repositoriesRoutes(
  app: FastifyInstance,
  options: RepositoriesRoutesOptions,
): Promise<void> {
  const { manageRepositories, unavailableDependency } = options
  setErrorFormat(app, problemJson, unavailableDependency)
  await requirePrincipal(app, options)
  // A body is read as JSON whatever its Content-Type: curl sends application/x-www-form-urlencoded by default.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))

  /** The repository that a request names, if its principal may do that to it. Throws a ProblemError otherwise. */
  const requireRepository = async (request: FastifyRequest, action: Action): Promise<Repository> => {
    const name = (request.params as { '*': string })['*'].replace(/\/$/, '')
    if (!isRepositoryName(name)) {
      const detail = `${JSON.stringify(name)} is not a valid repository name`
      throw new ProblemError({ status: 400, detail, field: 'repo' })
    }
    const found = await manageRepositories.find(principalOf(request), action, name)
    switch (found.outcome) {
      case 'allowed':
        return found.repository
      case 'not-visible':
        throw new ProblemError({ status: 404, detail: `there is no repository ${name} that you can see` })
      case 'forbidden':
        throw forbidden(`this account may read ${name}, but not change it`)
      case 'insufficient':
        throw forbidden(describeMissingAccess(action, name))
    }
  }

  app.get(`${BASE}/repositories`, async (request, reply) => {
    const page = parsePage(request)
    const list = await manageRepositories.list(principalOf(request), page)
    if (list === undefined)
      throw forbidden('listing repositories needs an identity token, or a token with registry:catalog:*')
    if (list.next !== undefined) reply.header('link', `<${nextPage(page, list.next)}>; rel="next"`)
    return sendJson(reply, list.json)
  })

  app.get(`${BASE}/repositories/*`, async (request, reply) => {
    const repository = await requireRepository(request, 'get')
    return sendJson(reply, manageRepositories.write(repository))
  })

  app.put(`${BASE}/repositories/*`, async (request, reply) => {
    const repository = await requireRepository(request, 'set-scope')
    await manageRepositories.setScope(repository, parseScope(request.body, repository.name))
    return reply.type('text/plain').send('OK')
  })

  app.delete(`${BASE}/repositories/*`, async (request, reply) => {
    await manageRepositories.delete(await requireRepository(request, 'delete'))
    return reply.code(200).send()
  })
}

/** Streams at the client's pace: pieces that the client has not read yet are not read from the index. */
function sendJson(reply: FastifyReply, pieces: AsyncIterable<string>) {
  return reply.type('application/json').send(Readable.from(pieces, { objectMode: false }))
}

function forbidden(detail: string): ProblemError {
  return new ProblemError({ status: 403, detail })
}

function describeMissingAccess(action: Action, name: string): string {
  if (action === 'set-scope') {
    return 'setting a scope needs a password or an identity token (a token that was requested without a scope)'
  }
  const needed = `repository:${name}:${action === 'get' ? 'pull' : 'delete'}`
  return `this token does not have ${needed}; request a token with that scope, or use an identity token`
}

function parseScope(body: unknown, name: string): RepositoryScope {
  const parsed = parseScopeBody(parseJson(String(body)), name)
  if ('scope' in parsed) return parsed.scope
  throw new ProblemError({ status: 400, ...parsed })
}

/** Returns undefined if the text is not JSON. Throws a ProblemError if an object has a field twice. */
function parseJson(text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  refuseDuplicateFields(text)
  return value
}

interface ListQuery {
  readonly namespace?: string
  readonly search?: string
  readonly limit?: number
  readonly after: string
}

function parsePage({ query }: FastifyRequest): ListQuery {
  const given = query as Record<string, unknown>
  const text = (field: string): string | undefined => {
    const value = given[field]
    // Postgres has no NUL in text, and would report an error.
    if (value === undefined || (typeof value === 'string' && !value.includes('\0'))) return value
    throw new ProblemError({ status: 400, detail: `${field} must be given once, without NUL`, field })
  }
  const limit = text('limit')
  if (limit !== undefined && !/^[1-9]\d{0,5}$/.test(limit)) {
    const detail = 'limit must be a whole number from 1 to 999999'
    throw new ProblemError({ status: 400, detail, field: 'limit' })
  }
  return {
    namespace: text('namespace'),
    search: text('search'),
    limit: limit === undefined ? undefined : Math.min(Number(limit), MAX_PAGE),
    after: text('last') ?? '',
  }
}

function nextPage({ namespace, search, limit }: ListQuery, last: string): string {
  const given = Object.entries({ namespace, search, limit: limit?.toString(), last })
  const query = new URLSearchParams(
    given.filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  return `${BASE}/repositories?${query}`
}
