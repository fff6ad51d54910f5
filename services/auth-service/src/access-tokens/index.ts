import { randomBytes, randomUUID } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import type { UnavailableDependency } from '@registry-manager/http'
import { ServiceCallError, createServiceClient } from '@registry-manager/http'
import { ScopesAnswer, createTokenVerifier } from '@registry-manager/principal'
import type { FastifyInstance } from 'fastify'
import type { StoredAccount } from '../accounts/account.ts'
import { createAccountsRepository } from '../accounts/accounts-repository.ts'
import type { IdentityTokenPorts } from '../sign-in/identity-token.ts'
import { createExchangeCredentials } from './exchange-credentials.ts'
import { createFindGlobals } from './global-repositories.ts'
import { createAccessTokenIssuer } from './issue-access-token.ts'
import { jwksRoutes } from './jwks-routes.ts'
import { createRefreshTokensRepository } from './refresh-tokens-repository.ts'
import { createRefreshTokens } from './refresh-tokens.ts'
import { createRevocationList } from './revocation-list.ts'
import type { SigningKeys } from './signing-keys.ts'
import { tokenEndpointRoutes } from './token-endpoint-routes.ts'
import type { TokenEndpointPorts } from './token-endpoint.ts'
import { createTokenEndpoint } from './token-endpoint.ts'
import { watchSigningKeys } from './watch-signing-keys.ts'

export interface AccessTokensConfig {
  readonly issuer: string
  readonly service: string
  readonly aliases: readonly string[]
  readonly publicOrigin: string
  readonly tokenLifeSeconds: number
  readonly offlineGraceSeconds: number
  readonly anonymousPull: boolean
  readonly imageManagerUrl: string
  readonly serviceCredential: string
}

export interface AccessTokensDeps {
  readonly db: Database
  readonly keys: SigningKeys
  readonly now: () => number
  readonly log: { error(details: object, message: string): void }
  readonly unavailableDependency: UnavailableDependency
}

/** Access and refresh tokens: issuing, verification, signing keys and the revocation list. */
export function createAccessTokens(config: AccessTokensConfig, deps: AccessTokensDeps) {
  const { issuer: iss, service, tokenLifeSeconds, offlineGraceSeconds } = config
  const { db, keys, now, log, unavailableDependency } = deps
  const accounts = createAccountsRepository(db)
  // The credential cache issues access tokens until the grace ends; the last one then lives its full life.
  const windowMs = (tokenLifeSeconds + offlineGraceSeconds + 60) * 1000
  const revocations = createRevocationList({ load: accounts.revocationsSince, now, windowMs })
  const refreshTokens = createRefreshTokens<StoredAccount>({
    repository: createRefreshTokensRepository(db),
    findAccountById: accounts.findById,
    now,
    randomBytes,
  })
  const imageManager = createServiceClient({
    dependency: 'image-manager',
    url: config.imageManagerUrl,
    credential: config.serviceCredential,
    timeoutMs: 1000,
  })
  const issuer = createAccessTokenIssuer({
    issuer: iss,
    audience: service,
    lifeSeconds: tokenLifeSeconds,
    sign: keys.sign,
    findGlobal: createFindGlobals({
      async fetchGlobals(names) {
        const { global, marks } = await imageManager.post('/internal/scopes', { names }, ScopesAnswer)
        return new Map(global.map((name) => [name, marks?.[name]]))
      },
      isUnavailable: (error) => error instanceof ServiceCallError,
      now,
      graceMs: offlineGraceSeconds * 1000,
    }),
    now,
    newId: randomUUID,
  })
  const watch = watchSigningKeys({
    keys,
    now,
    onError: (err) => log.error({ err }, 'could not read the signing keys; the previous ones stay in use'),
  })
  return {
    windowMs,
    issuer,
    revocations,
    refreshTokens,
    verifyToken: createTokenVerifier({
      issuer: iss,
      audience: service,
      findKey: async (kid) => keys.findKey(kid),
    }),
    checks: { revocations: revocations.check, 'signing-keys': watch.check },
    exchangeCredentials: (signIn: TokenEndpointPorts['signIn']) =>
      createExchangeCredentials({ signIn, issuer }),
    registerJwks: (app: FastifyInstance) => app.register(jwksRoutes, { keys }),
    registerTokenEndpoint: (
      app: FastifyInstance,
      ports: Pick<TokenEndpointPorts, 'signIn'> & IdentityTokenPorts,
    ) =>
      app.register(tokenEndpointRoutes, {
        tokenEndpoint: createTokenEndpoint({ ...config, ...ports, issuer, refreshTokens }),
        service,
        aliases: config.aliases,
        realm: service,
        publicOrigin: config.publicOrigin,
        unavailableDependency,
      }),
    async start() {
      await revocations.start()
      watch.start()
    },
    async stop() {
      await Promise.all([revocations.stop(), watch.stop()])
    },
  }
}
