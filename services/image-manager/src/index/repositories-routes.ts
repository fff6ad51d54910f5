import { Readable } from 'node:stream'
import { isRepositoryName } from '@registry-manager/oci'
import { ProblemError, problemJson, refuseDuplicateFields, setErrorFormat } from '@registry-manager/http'
import type { UnavailableDependency } from '@registry-manager/http'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import { describeProtection } from '../immutability/tag-rule.ts'
import type { Action } from '../management-api/authorize.ts'
import type { ManageRepositories } from './manage-repositories.ts'
import type { Repository, RepositoryScope } from './repository.ts'
import type { RequirePrincipalOptions } from '../management-api/require-principal.ts'
import { requirePrincipal, rightsOf } from '../management-api/require-principal.ts'
import { DELETE_SCHEMA, GET_SCHEMA, LIST_SCHEMA, PUT_SCHEMA } from './repositories-schemas.ts'
import type { LIST_QUERY } from './repositories-schemas.ts'
import type { ScopeInput } from './scope-body.ts'
import { findDisagreeing } from './scope-body.ts'

export interface RepositoriesRoutesOptions extends RequirePrincipalOptions {
  readonly manageRepositories: ManageRepositories
  readonly unavailableDependency: UnavailableDependency
}

const BASE = '/image-manager/api/v1'
const MAX_PAGE = 1000

/** The image management API of seed 001. */
export const repositoriesRoutes: FastifyPluginAsyncTypebox<RepositoriesRoutesOptions> = async (
  app,
  options,
) => {
  const { manageRepositories, unavailableDependency } = options
  setErrorFormat(app, problemJson, unavailableDependency)
  await requirePrincipal(app, options)
  // A body is read as JSON whatever its Content-Type: curl sends application/x-www-form-urlencoded by default.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))

  /** The repository that a request names, if its principal may do the action on it. Throws a ProblemError otherwise. */
  const requireRepository = async (request: FastifyRequest, action: Action): Promise<Repository> => {
    const name = (request.params as { '*': string })['*'].replace(/\/$/, '')
    if (!isRepositoryName(name)) {
      const detail = `${JSON.stringify(name)} is not a valid repository name`
      throw new ProblemError({ status: 400, detail, field: 'repo' })
    }
    const found = await manageRepositories.find(rightsOf(request), action, name)
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

  app.get(`${BASE}/repositories`, { schema: LIST_SCHEMA }, async (request, reply) => {
    const page = toPage(request.query)
    const list = await manageRepositories.list(rightsOf(request), page)
    if (list === undefined)
      throw forbidden('listing repositories needs an identity token, or a token with registry:catalog:*')
    if (list.next !== undefined) reply.header('link', `<${nextPage(page, list.next)}>; rel="next"`)
    return sendJson(reply, list.json)
  })

  app.get(`${BASE}/repositories/*`, { schema: GET_SCHEMA }, async (request, reply) => {
    const repository = await requireRepository(request, 'get')
    return sendJson(reply, manageRepositories.write(repository))
  })

  // A missing repository or right is reported before a fault of the body.
  const putRoute = { schema: PUT_SCHEMA, attachValidation: true, preValidation: readScopeBody }
  app.put(`${BASE}/repositories/*`, putRoute, async (request, reply) => {
    const repository = await requireRepository(request, 'set-scope')
    await manageRepositories.setScope(repository, scopeOf(request, repository.name))
    return reply.type('text/plain').send('OK')
  })

  app.delete(`${BASE}/repositories/*`, { schema: DELETE_SCHEMA }, async (request, reply) => {
    const repository = await requireRepository(request, 'delete')
    const protectedTag = await manageRepositories.delete(repository)
    if (protectedTag !== undefined) throw forbidden(describeProtection(protectedTag, repository.name))
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

/** Reads a body as JSON; a body that is no JSON object becomes undefined. Refuses a field that is given twice. */
async function readScopeBody(request: FastifyRequest): Promise<void> {
  const text = String(request.body)
  request.body = undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return
  refuseDuplicateFields(text)
  request.body = value
}

/** The scope in a body that fits its schema and agrees with the path. Throws a ProblemError otherwise. */
function scopeOf({ body, validationError }: FastifyRequest, name: string): RepositoryScope {
  if (body === undefined) {
    const detail = 'the body must be {"scope":"global"} or {"scope":"namespace"}'
    throw new ProblemError({ status: 400, detail, field: 'scope' })
  }
  if (validationError !== undefined) throw validationError
  const input = body as ScopeInput
  const field = findDisagreeing(input, name)
  if (field === undefined) return input.scope
  throw new ProblemError({
    status: 400,
    detail: `${field} must agree with the path, which names ${name}`,
    field,
  })
}

interface ListQuery {
  readonly namespace?: string
  readonly search?: string
  readonly limit?: number
  readonly after: string
}

function toPage({ namespace, search, limit, last = '' }: Static<typeof LIST_QUERY>): ListQuery {
  return {
    namespace,
    search,
    limit: limit === undefined ? undefined : Math.min(limit, MAX_PAGE),
    after: last,
  }
}

function nextPage({ namespace, search, limit }: ListQuery, last: string): string {
  const given = Object.entries({ namespace, search, limit: limit?.toString(), last })
  const query = new URLSearchParams(
    given.filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  return `${BASE}/repositories?${query}`
}
