import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { UnavailableDependency } from '@registry-manager/http'
import {
  ProblemError,
  neverStored,
  parseJsonBodies,
  problemJson,
  setErrorFormat,
} from '@registry-manager/http'
import type { PrincipalOptions } from '../sign-in/require-principal.ts'
import { onlyInPerson, principalOf, requirePrincipal } from '../sign-in/require-principal.ts'
import type { ManagePersonalTokens, PersonalTokenCreation } from './manage-personal-tokens.ts'
import { MAX_PERSONAL_TOKENS } from './manage-personal-tokens.ts'
import { PERSONAL_TOKEN_SCHEMAS as SCHEMAS, personalTokenBody } from './personal-token-schemas.ts'

export interface PersonalTokensRoutesOptions extends PrincipalOptions {
  readonly personalTokens: ManagePersonalTokens
  readonly unavailableDependency: UnavailableDependency
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

const PATH = '/personal-tokens'
const DEFAULT_PAGE = 50

/** The management of personal tokens, for the users who own them. */
export const personalTokensRoutes: FastifyPluginAsyncTypebox<PersonalTokensRoutesOptions> = async (
  app,
  options,
) => {
  const { personalTokens, now } = options
  setErrorFormat(app, problemJson, options.unavailableDependency)
  neverStored(app)
  // Some clients send a JSON content type even without a body.
  parseJsonBodies(app, { allowEmpty: true })
  await requirePrincipal(app, options)
  // A leaked personal token must not be able to make itself a successor.
  app.addHook('onRequest', async (request) => onlyInPerson(request))

  app.post(PATH, { schema: SCHEMAS.create }, async (request, reply) => {
    const result = await personalTokens.create(principalOf(request), request.body)
    if (result.outcome !== 'created') throw problemOf(result)
    const { personalToken, password } = result
    reply.code(201).header('location', `${PATH}/${personalToken.id}`)
    return { ...personalTokenBody(personalToken, now()), password }
  })

  app.get(PATH, { schema: SCHEMAS.list }, async (request) => {
    const { username, limit = DEFAULT_PAGE, after = '' } = request.query
    const result = await personalTokens.list(principalOf(request), username?.toLowerCase(), { limit, after })
    switch (result.outcome) {
      case 'forbidden':
        throw new ProblemError({
          status: 403,
          detail: 'only cluster administrators may list the personal tokens of others',
        })
      case 'no-owner':
        throw noSuchUser()
      case 'listed': {
        const items = result.items.map((one) => personalTokenBody(one, now()))
        return { items, next: result.next ?? null }
      }
    }
  })

  app.get(`${PATH}/:id`, { schema: SCHEMAS.get }, async (request) => {
    const found = await personalTokens.find(principalOf(request), request.params.id)
    if (found === undefined) throw notFound()
    return personalTokenBody(found, now())
  })

  app.delete(`${PATH}/:id`, { schema: SCHEMAS.delete }, async (request, reply) => {
    if (!(await personalTokens.delete(principalOf(request), request.params.id))) throw notFound()
    return reply.code(204).send(null)
  })
}

function problemOf(refused: Exclude<PersonalTokenCreation, { outcome: 'created' }>): ProblemError {
  switch (refused.outcome) {
    case 'invalid': {
      const { field, detail } = refused.fault
      return new ProblemError({ status: 400, detail: `${field} ${detail}`, field })
    }
    case 'taken':
      return conflict('you have a personal token of this name; choose another name', 'name')
    case 'too-many':
      return conflict(`you have ${MAX_PERSONAL_TOKENS} personal tokens, which is the most; delete one first`)
    case 'not-refreshed':
      return conflict(
        'directory users can have personal tokens only if the directory has a service account (DIRECTORY_BIND_DN), ' +
          'because registry-manager must notice when a user is disabled there',
      )
    case 'no-owner':
      return noSuchUser()
  }
}

function conflict(detail: string, field?: string): ProblemError {
  return new ProblemError({ status: 409, detail, ...(field !== undefined && { field }) })
}

function noSuchUser(): ProblemError {
  return new ProblemError({ status: 404, detail: 'there is no such user' })
}

function notFound(): ProblemError {
  return new ProblemError({ status: 404, detail: 'there is no such personal token' })
}
