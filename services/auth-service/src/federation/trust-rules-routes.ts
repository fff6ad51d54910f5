import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { badField, ProblemError, pathParameter } from '@registry-manager/http'
import type { FastifyRequest } from 'fastify'
import { describeManagement, mayManageNamespace } from '@registry-manager/principal'
import type { ManagementApiOptions } from '../sign-in/management-api.ts'
import { managementApi } from '../sign-in/management-api.ts'
import { principalOf } from '../sign-in/require-principal.ts'
import type { ManageTrustRules, Refused } from './manage-trust-rules.ts'
import { MAX_TRUST_RULES } from './manage-trust-rules.ts'
import { TRUST_RULE_SCHEMAS as SCHEMAS, trustRuleBody } from './trust-rule-json.ts'

export interface TrustRulesRoutesOptions extends ManagementApiOptions {
  readonly trustRules: ManageTrustRules
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

const RULES = '/namespaces/:namespace/trust-rules'
const RULE = `${RULES}/:id`
const DEFAULT_PAGE = 50

/** The management of trust rules, for the managers of a namespace. */
export const trustRulesRoutes: FastifyPluginAsyncTypebox<TrustRulesRoutesOptions> = async (app, options) => {
  const { trustRules, now } = options
  await managementApi(app, options)
  app.addHook('onRequest', async (request: FastifyRequest) => {
    const namespace = pathParameter(request, 'namespace')
    const context = { address: request.ip, now: now() }
    if (mayManageNamespace(principalOf(request), namespace, context)) return
    throw new ProblemError({ status: 403, detail: describeManagement(namespace) })
  })

  app.get(RULES, { schema: SCHEMAS.list }, async ({ params: { namespace }, query }) => {
    const { limit = DEFAULT_PAGE, after } = query
    const { items, next = null } = await trustRules.list({ namespace, after, limit })
    return { items: items.map(trustRuleBody), next }
  })

  app.post(RULES, { schema: SCHEMAS.create }, async (request, reply) => {
    const { namespace } = request.params
    const result = await trustRules.create(namespace, request.body, principalOf(request).username)
    if (result.outcome !== 'created') throw problemOf(result)
    const path = `/namespaces/${encodeURIComponent(namespace)}/trust-rules/${result.rule.id}`
    return reply.code(201).header('location', path).send(trustRuleBody(result.rule))
  })

  app.put(RULES, { schema: SCHEMAS.replaceAll }, async (request) => {
    const { namespace } = request.params
    const { items } = request.body
    const result = await trustRules.replaceAll(namespace, items, principalOf(request).username)
    if (result.outcome !== 'replaced') throw problemOf(result)
    return { items: result.rules.map(trustRuleBody), next: null }
  })

  app.get(RULE, { schema: SCHEMAS.get }, async ({ params: { namespace, id } }) => {
    const rule = await trustRules.find(namespace, id)
    if (rule === undefined) throw problemOf({ outcome: 'absent' })
    return trustRuleBody(rule)
  })

  app.put(RULE, { schema: SCHEMAS.replace }, async ({ params: { namespace, id }, body }) => {
    const result = await trustRules.replace(namespace, id, body)
    if (result.outcome !== 'replaced') throw problemOf(result)
    return trustRuleBody(result.rule)
  })

  app.delete(RULE, { schema: SCHEMAS.delete }, async ({ params: { namespace, id } }, reply) => {
    if (!(await trustRules.delete(namespace, id))) throw problemOf({ outcome: 'absent' })
    return reply.code(204).send(null)
  })
}

function problemOf(refused: Refused): ProblemError {
  switch (refused.outcome) {
    case 'absent':
      return new ProblemError({ status: 404, detail: 'the namespace has no such trust rule' })
    case 'taken':
      return new ProblemError({
        status: 409,
        detail: 'the namespace has a trust rule of this name',
        field: 'name',
      })
    case 'too-many':
      return new ProblemError({
        status: 409,
        detail: `a namespace has at most ${MAX_TRUST_RULES} trust rules`,
      })
    case 'invalid':
      return badField(refused.fault)
  }
}
