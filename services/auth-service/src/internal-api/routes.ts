import { createHash } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Access } from '@registry-manager/oci'
import {
  AccountAnswer,
  ExchangeAnswer,
  ExchangeRequest,
  IssuedToken,
  Revocations,
  ServiceTokenRequest,
} from '@registry-manager/principal'
import { ProblemError, describeUnavailable, unavailable } from '@registry-manager/http'
import { Type } from 'typebox'
import type { RevocationSnapshot } from '../access-tokens/revocation-list.ts'
import type { TokenIssuer } from '../access-tokens/issue-access-token.ts'
import type { Principal } from '../sign-in/principal.ts'
import { isPast } from '../registry-tokens/registry-token.ts'
import { isRegistryToken } from '../sign-in/principal.ts'
import type { SignInService } from '../sign-in/sign-in.ts'

export interface InternalRoutesOptions {
  readonly signIn: SignInService
  readonly issuer: TokenIssuer
  readonly revocations: RevocationSnapshot
  readonly findPrincipalById: (id: string) => Promise<Principal | undefined>
  readonly now: () => number
}

/** What the other services ask: tokens to work with, who an account is, and whose tokens are dead. */
export const internal: FastifyPluginAsyncTypebox<InternalRoutesOptions> = async (app, options) => {
  const { signIn, issuer, revocations, findPrincipalById, now } = options

  app.post(
    '/internal/service-tokens',
    { schema: { body: ServiceTokenRequest, response: { 200: IssuedToken } } },
    async ({ body }) => issuer.forService(body.service, body.access),
  )

  app.post(
    '/internal/token-exchanges',
    { schema: { body: ExchangeRequest, response: { 200: ExchangeAnswer } } },
    async ({ body }) => {
      const result = await signIn.withPassword(body.username, body.password, body.address)
      // Without the database nothing is known; without the directory only these credentials are not verified.
      if (result.outcome === 'unavailable') {
        if (result.dependency === 'database') throw unavailable(describeUnavailable('database'))
        return { outcome: 'unavailable', part: result.dependency } as const
      }
      if (result.outcome !== 'account' && result.outcome !== 'token') return result
      const who = result.outcome === 'token' ? { ...result, account: result.token } : result
      const { token, expiresIn } = await issuer.forAccount({ ...who, scopes: body.access })
      return { outcome: 'issued' as const, token, expiresIn, offline: result.offline }
    },
  )

  app.get(
    '/internal/accounts/:uid',
    {
      schema: {
        params: Type.Object({ uid: Type.String({ format: 'uuid' }) }),
        response: { 200: AccountAnswer },
      },
    },
    async ({ params }) => {
      const account = await findPrincipalById(params.uid)
      if (account === undefined || !account.enabled) throw notThere()
      const { generation } = account
      if (isRegistryToken(account)) {
        if (isPast(account.expiresAt, now())) throw notThere()
        return { kind: 'token' as const, scopes: account.scopes.map(toAccess), generation }
      }
      const { role, namespaces } = account
      return { kind: 'user' as const, role, namespaces: [...namespaces], generation }
    },
  )

  // Every consumer asks each second, and it seldom changes.
  app.get(
    '/internal/revocations',
    { schema: { response: { 200: Revocations, 304: Type.Null() } } },
    async (request, reply) => {
      const accounts = revocations.current()
      if (accounts === undefined) throw unavailable('the revocations were not read yet', 1)
      const etag = etagOf(accounts)
      reply.header('etag', etag)
      // The one form of If-None-Match that our services send. RFC 9110 §13.1.2
      if (request.headers['if-none-match'] === etag) return reply.code(304).send(null)
      return { accounts: Object.fromEntries(accounts) }
    },
  )
}

/** The same on every replica that has read the same, in whatever order. */
function etagOf(accounts: ReadonlyMap<string, number>): string {
  const entries = [...accounts].map(([id, generation]) => `${id} ${generation}`).toSorted()
  return `"${createHash('sha256').update(entries.join('\n')).digest('base64url')}"`
}

function notThere(): ProblemError {
  return new ProblemError({ status: 404, detail: 'there is no such account' })
}

function toAccess({ type, name, actions }: Access) {
  return { type, name, actions: [...actions] }
}
