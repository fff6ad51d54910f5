import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ProblemError } from '@registry-manager/http'
import type { ManagementApiOptions } from '../sign-in/management-api.ts'
import { managementApi } from '../sign-in/management-api.ts'
import { onlyInPerson, principalOf } from '../sign-in/require-principal.ts'
import { creationProblem, noUser } from './creation-problem.ts'
import type { ManagePersonalTokens } from './manage-personal-tokens.ts'
import { PERSONAL_TOKEN_SCHEMAS as SCHEMAS, personalTokenBody } from './personal-token-schemas.ts'

export interface PersonalTokensRoutesOptions extends ManagementApiOptions {
  readonly personalTokens: ManagePersonalTokens
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
  await managementApi(app, options, { allowEmpty: true })
  // A leaked personal token must not be able to make itself a successor.
  app.addHook('onRequest', async (request) => onlyInPerson(request))

  app.post(PATH, { schema: SCHEMAS.create }, async (request, reply) => {
    const principal = principalOf(request)
    const result = await personalTokens.create(principal, request.body)
    if (result.outcome !== 'created') throw creationProblem(result, principal.username)
    const { personalToken, password } = result
    reply.code(201).header('location', `${PATH}/${personalToken.id}`)
    return { ...personalTokenBody(personalToken, now()), password }
  })

  app.get(PATH, { schema: SCHEMAS.list }, async (request) => {
    const { username, limit = DEFAULT_PAGE, after = '' } = request.query
    const principal = principalOf(request)
    const result = await personalTokens.list(principal, username?.toLowerCase(), { limit, after })
    switch (result.outcome) {
      case 'forbidden':
        throw new ProblemError({
          status: 403,
          detail: 'only cluster administrators may list the personal tokens of others',
        })
      case 'no-owner':
        throw noUser(username ?? principal.username)
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

function notFound(): ProblemError {
  return new ProblemError({ status: 404, detail: 'there is no such personal token' })
}
