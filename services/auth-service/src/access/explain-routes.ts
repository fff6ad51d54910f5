import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { badField, ProblemError, toMutable } from '@registry-manager/http'
import { describeManagers } from '@registry-manager/principal'
import type { FastifyRequest } from 'fastify'
import type { ManagementApiOptions } from '../sign-in/management-api.ts'
import { managementApi } from '../sign-in/management-api.ts'
import { principalOf } from '../sign-in/require-principal.ts'
import type { ExplainAccess, ExplainRequest } from './explain-access.ts'
import { EXPLAIN_SCHEMAS as SCHEMAS } from './explain-schemas.ts'

export interface ExplainRoutesOptions extends ManagementApiOptions {
  readonly explainAccess: ExplainAccess
}

/** Explanations of decisions, and lists of accounts that may do an action. */
export const explainRoutes: FastifyPluginAsyncTypebox<ExplainRoutesOptions> = async (app, options) => {
  const { explainAccess } = options
  await managementApi(app, options)

  const respond = async (request: FastifyRequest, asked: ExplainRequest) => {
    const result = await explainAccess.explain(principalOf(request), asked, request.ip)
    if ('fault' in result) throw badField(result.fault)
    if ('refused' in result) {
      if (result.refused === 'forbidden') throw managersOnlyProblem(asked.repository)
      throw new ProblemError({ status: 404, detail: `there is no ${describeSubject(asked)}` })
    }
    const { repository, action } = asked
    const { account, token, explanation } = result
    return toMutable({ account, ...(token && { token }), repository, action, ...explanation })
  }

  app.get('/access/explain', { schema: SCHEMAS.explain }, (request) => respond(request, request.query))
  app.post('/access/explain', { schema: SCHEMAS.whatIf }, (request) => respond(request, request.body))

  app.get('/access/who', { schema: SCHEMAS.who }, async (request) => {
    const { limit = 50, after, ...asked } = request.query
    if (!explainAccess.managesNamespaceOf(principalOf(request), asked.repository, request.ip)) {
      throw managersOnlyProblem(asked.repository)
    }
    return toMutable(await explainAccess.listAccounts(asked, { limit, after }))
  })
}

function describeSubject({ account, token, rule }: ExplainRequest): string {
  if (rule !== undefined) return `trust rule ${rule}`
  if (token === undefined) return `user and no registry token ${account ?? ''}`
  return account === undefined
    ? `personal token of yours and no registry token ${token}`
    : `personal token ${token} of a user ${account}`
}

/** The refusal of principals that do not manage the repository's namespace. It reveals nothing about accounts. */
function managersOnlyProblem(repository: string): ProblemError {
  const managers = describeManagers(repository).replace(/,$/, '')
  return new ProblemError({
    status: 403,
    detail: `only ${managers} may request explanations about ${repository}`,
  })
}
