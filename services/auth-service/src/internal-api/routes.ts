import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ProblemError, describeUnavailable, unavailable } from '@registry-manager/http'
import type { Access } from '@registry-manager/oci'
import type { Conditions, EffectiveGrant } from '@registry-manager/principal'
import { toConditionsBody } from '../access/conditions.ts'
import type { ExchangeCredentials } from '../access-tokens/exchange-credentials.ts'
import type { AccessTokenIssuer } from '../access-tokens/issue-access-token.ts'
import type { RevocationList } from '../access-tokens/revocation-list.ts'
import type { AccountPrincipal } from '../principals/principal.ts'
import { conditionsOf, isPersonalToken, isUser } from '../principals/principal.ts'
import { describeRefused } from '../sign-in/sign-in-problem.ts'
import { INTERNAL_SCHEMAS as SCHEMAS } from './schemas.ts'

export interface InternalRoutesOptions {
  readonly exchangeCredentials: ExchangeCredentials
  readonly issuer: Pick<AccessTokenIssuer, 'forService'>
  readonly revocations: Pick<RevocationList, 'current'>
  /**
   * Undefined when the account is absent or disabled, or a registry token has expired. With `via`, the id of a
   * personal token that acts for the account, also undefined when that is absent or has expired.
   */
  readonly findActivePrincipal: (id: string, via?: string) => Promise<AccountPrincipal | undefined>
}

/** The internal API: access tokens for services, the exchange of credentials, accounts, and the revocation list. */
export const internalRoutes: FastifyPluginAsyncTypebox<InternalRoutesOptions> = async (app, options) => {
  const { exchangeCredentials, issuer, revocations, findActivePrincipal } = options

  app.post('/internal/service-tokens', { schema: SCHEMAS.serviceToken }, async ({ body }) =>
    issuer.forService(body.service, body.access),
  )

  app.post('/internal/token-exchanges', { schema: SCHEMAS.exchange }, async ({ body }) => {
    const result = await exchangeCredentials(body)
    switch (result.outcome) {
      case 'issued': {
        const { token, expiresIn } = result.issued
        return { outcome: 'issued' as const, token, expiresIn, offline: result.offline }
      }
      case 'unavailable':
        // Without the database no credentials can be verified; without the directory only those of its users.
        if (result.dependency === 'database') throw unavailable(describeUnavailable('database'))
        return { outcome: 'unavailable' as const, part: result.dependency }
      case 'refused': {
        const reason = describeRefused(result)
        return { outcome: 'refused' as const, ...(reason !== undefined && { reason }) }
      }
      default:
        return result
    }
  })

  app.get('/internal/accounts/:uid', { schema: SCHEMAS.account }, async ({ params }) => {
    const principal = await findActivePrincipal(params.uid)
    if (principal === undefined) {
      throw new ProblemError({ status: 404, detail: `there is no active account ${params.uid}` })
    }
    return factsOf(principal)
  })

  app.get('/internal/accounts/:uid/via/:via', { schema: SCHEMAS.personalToken }, async ({ params }) => {
    const principal = await findActivePrincipal(params.uid, params.via)
    if (principal === undefined) {
      throw new ProblemError({ status: 404, detail: `there is no active personal token ${params.via}` })
    }
    return factsOf(principal)
  })

  let document = { etag: '', json: '' }
  // Every consumer polls each second, and the list seldom changes: hence the ETag. A long list is serialized once.
  app.get('/internal/revocations', { schema: SCHEMAS.revocations }, async (request, reply) => {
    const accounts = revocations.current()
    if (accounts === undefined) {
      throw unavailable('the revocation list has not been read from the database yet', 1)
    }
    const etag = `"${accounts.fingerprint()}"`
    reply.header('etag', etag)
    // Our services send this form of If-None-Match only. Source: RFC 9110 §13.1.2.
    if (request.headers['if-none-match'] === etag) return reply.code(304).send(null)
    if (document.etag !== etag) {
      document = { etag, json: JSON.stringify({ accounts: Object.fromEntries(accounts) }) }
    }
    // The type of the payload is that of the schema, but a string is sent as it is.
    return reply.type('application/json; charset=utf-8').send(document.json as never)
  })
}

/** The fields of a grant that lists need. */
function toGrantFacts({ id, repositories, role, actions, conditions }: EffectiveGrant) {
  return {
    id,
    repositories,
    ...(role && { role }),
    actions: [...actions],
    ...toConditionFacts(conditions),
  }
}

function toConditionFacts(conditions: Conditions | undefined) {
  return conditions && { conditions: toConditionsBody(conditions) }
}

function factsOf(principal: AccountPrincipal) {
  const { generation } = principal
  const grants = ('grants' in principal ? principal.grants : []).map(toGrantFacts)
  if (!isUser(principal)) {
    const conditions = toConditionFacts(conditionsOf(principal))
    const scopes = principal.scopes.map(toAccess)
    return { kind: 'token' as const, scopes, grants, generation, ...conditions }
  }
  const { role, namespaces } = principal
  const limits = isPersonalToken(principal) ? principal.via.scopes : null
  return {
    kind: 'user' as const,
    role,
    namespaces: [...namespaces],
    grants,
    generation,
    ...(limits && { limitedTo: limits.map(toAccess) }),
    ...toConditionFacts(conditionsOf(principal)),
  }
}

function toAccess({ type, name, actions }: Access) {
  return { type, name, actions: [...actions] }
}
