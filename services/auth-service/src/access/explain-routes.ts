import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { UnavailableDependency } from '@registry-manager/http'
import {
  ProblemError,
  neverStored,
  parseJsonBodies,
  problemJson,
  setErrorFormat,
} from '@registry-manager/http'
import { describeManagers } from '@registry-manager/principal'
import type { FastifyRequest } from 'fastify'
import type { PrincipalOptions } from '../sign-in/require-principal.ts'
import { principalOf, requirePrincipal } from '../sign-in/require-principal.ts'
import type { ExplainAccess, ExplainRequest } from './explain-access.ts'
import { EXPLAIN_SCHEMAS as SCHEMAS } from './explain-schemas.ts'

export interface ExplainRoutesOptions extends PrincipalOptions {
  readonly explainAccess: ExplainAccess
  readonly unavailableDependency: UnavailableDependency
}

/** Explanations of decisions, and lists of who may do what. */
export const explainRoutes: FastifyPluginAsyncTypebox<ExplainRoutesOptions> = async (app, options) => {
  const { explainAccess } = options
  setErrorFormat(app, problemJson, options.unavailableDependency)
  neverStored(app)
  await requirePrincipal(app, options)
  parseJsonBodies(app)

  const answer = async (request: FastifyRequest, asked: ExplainRequest) => {
    const result = await explainAccess.explain(principalOf(request), asked, request.ip)
    if ('fault' in result) {
      const { field, detail } = result.fault
      throw new ProblemError({ status: 400, detail: `${field} ${detail}`, field })
    }
    if ('refused' in result) {
      if (result.refused === 'forbidden') throw onlyManagers(asked.repository)
      const detail =
        asked.rule === undefined
          ? `there is no user and no registry token ${asked.account ?? ''}`
          : `there is no trust rule ${asked.rule}`
      throw new ProblemError({ status: 404, detail })
    }
    const { repository, action } = asked
    return { account: result.account, repository, action, ...result.explanation } as never
  }

  app.get('/access/explain', { schema: SCHEMAS.explain }, (request) => answer(request, request.query))
  app.post('/access/explain', { schema: SCHEMAS.whatIf }, (request) => answer(request, request.body))

  app.get('/access/who', { schema: SCHEMAS.who }, async (request) => {
    const { limit = 50, after, ...asked } = request.query
    if (!explainAccess.mayList(principalOf(request), asked.repository, request.ip)) {
      throw onlyManagers(asked.repository)
    }
    return (await explainAccess.who(asked, { limit, after })) as never
  })
}

/** The same for every repository that the principal does not manage, and for every account. */
function onlyManagers(repository: string): ProblemError {
  const managers = describeManagers(repository).replace(/,$/, '')
  return new ProblemError({ status: 403, detail: `only ${managers} may ask this about ${repository}` })
}
