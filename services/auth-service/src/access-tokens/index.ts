import { randomBytes, randomUUID } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import { createRecordEvents } from '@registry-manager/events'
import type { UnavailableDependency } from '@registry-manager/http'
import { ServiceCallError, createServiceClient } from '@registry-manager/http'
import { ScopesResponse, createTokenVerifier } from '@registry-manager/principal'
import type { FastifyInstance } from 'fastify'
import { AUTH_SERVICE } from '../principals/principal.ts'
import type { StoredAccount } from '../principals/account.ts'
import type { ExchangeCredentialsPorts } from './exchange-credentials.ts'
import { createExchangeCredentials } from './exchange-credentials.ts'
import { createFindGlobals } from './global-repositories.ts'
import type { IdentityTokenPorts } from './identity-token.ts'
import { findIdentity } from './identity-token.ts'
import { createAccessTokenIssuer } from './issue-access-token.ts'
import { jwksRoutes } from './jwks-routes.ts'
import { createRecordRotations } from './record-rotations.ts'
import { createRefreshTokensRepository } from './refresh-tokens-repository.ts'
import { createRefreshTokens } from './refresh-tokens.ts'
import type { RevocationListOptions } from './revocation-list.ts'
import { createRevocationList } from './revocation-list.ts'
import { createSigningKeysRepository } from './signing-keys-repository.ts'
import type { SigningKeys } from './signing-keys.ts'
import type { TokenEndpointRoutesOptions } from './token-endpoint-routes.ts'
import { tokenEndpointRoutes } from './token-endpoint-routes.ts'
import type { TokenEndpointPorts } from './token-endpoint.ts'
import { createTokenEndpoint } from './token-endpoint.ts'
import { watchSigningKeys } from './watch-signing-keys.ts'

export interface AccessTokensConfig {
  readonly issuer: string
  readonly service: string
  readonly aliases: readonly string[]
  readonly publicOrigin: string
  readonly accessTokenLifeSeconds: number
  readonly offlineGraceSeconds: number
  readonly anonymousPull: boolean
  readonly imageManagerUrl: string
  readonly serviceCredential: string
}

export interface AccessTokensDeps {
  readonly db: Database
  readonly accounts: {
    find(ref: Pick<StoredAccount, 'id'>): Promise<StoredAccount | undefined>
    revocationsSince(since: Date, cursor?: string): ReturnType<RevocationListOptions['load']>
  }
  readonly keys: SigningKeys
  readonly now: () => number
  readonly log: { error(details: object, message: string): void }
  readonly unavailableDependency: UnavailableDependency
}

/** Access and refresh tokens: issuing, verification, signing keys and the revocation list. */
export function createAccessTokens(config: AccessTokensConfig, deps: AccessTokensDeps) {
  const { issuer, service, accessTokenLifeSeconds } = config
  const { db, accounts, keys, now, log, unavailableDependency } = deps
  const graceMs = config.offlineGraceSeconds * 1000
  // Access tokens are issued from the credential cache until the offline grace ends; the last one then lives its full
  // life.
  const accessTokenWindowMs = graceMs + (accessTokenLifeSeconds + 60) * 1000
  const revocations = createRevocationList({
    load: accounts.revocationsSince,
    now,
    windowMs: accessTokenWindowMs,
  })
  const refreshTokens = createRefreshTokens<StoredAccount>({
    repository: createRefreshTokensRepository(db),
    findAccount: accounts.find,
    now,
    randomBytes,
  })
  const imageManager = createServiceClient({
    dependency: 'image-manager',
    url: config.imageManagerUrl,
    credential: config.serviceCredential,
    timeoutMs: 1000,
  })
  const findGlobal = createFindGlobals({
    async fetchGlobalScopes(names) {
      const { global, marks } = await imageManager.post('/internal/scopes', { names }, ScopesResponse)
      return new Map(global.map((name) => [name, marks?.[name]]))
    },
    isUnavailable: (error) => error instanceof ServiceCallError,
    onOutage: (err) =>
      log.error({ err }, 'could not read the list of global repositories; the last known list stays in use'),
    now,
    graceMs,
  })
  const tokenIssuer = createAccessTokenIssuer({
    issuer,
    audience: service,
    lifeSeconds: accessTokenLifeSeconds,
    sign: keys.sign,
    currentKeyId: keys.currentKeyId,
    findGlobal,
    now,
    newId: randomUUID,
  })
  const findKey = async (kid: string) => keys.findKey(kid)
  const verifyToken = createTokenVerifier({ issuer, audience: service, findKey })
  const signingKeys = watchSigningKeys({
    keys,
    now,
    recordRotation: createRecordRotations({
      currentKeyId: keys.currentKeyId,
      retiredKeyId: keys.retiredKeyId,
      inTransaction: (work) =>
        inTransaction(db, (tx) =>
          work({
            ...createSigningKeysRepository(tx),
            recordEvents: createRecordEvents(tx, { principal: AUTH_SERVICE }),
          }),
        ),
    }),
    onError: (err) => log.error({ err }, 'could not read the signing keys; the previous keys stay in use'),
    onUnrecorded: (err) =>
      log.error({ err }, 'could not record the rotation of the signing keys; will retry'),
  })
  return {
    revocation: {
      isRevoked: revocations.isRevoked,
      isUnchanged: revocations.isUnchanged,
      onRevoked: revocations.note,
      accessTokenWindowMs,
    },
    findByRefreshToken: refreshTokens.findAccount,
    /** Whether every signed-in user may pull a repository. */
    isGlobal: async (repository: string) => (await findGlobal([repository])).has(repository),
    checks: { revocations: revocations.check, 'signing-keys': signingKeys.check },
    /** Returns a function that finds the principal of an identity token. */
    identityFinder: (findPrincipalById: IdentityTokenPorts['findPrincipalById']) => (token: string) =>
      findIdentity({ verifyToken, findPrincipalById }, token),
    /** The use cases of the internal API. */
    internal: (signIn: ExchangeCredentialsPorts['signIn']) => ({
      exchangeCredentials: createExchangeCredentials({ signIn, issuer: tokenIssuer }),
      issuer: tokenIssuer,
      revocations,
    }),
    registerJwks: async (app: FastifyInstance) => {
      await app.register(jwksRoutes, { keys })
    },
    registerTokenEndpoint: async (
      app: FastifyInstance,
      ports: Pick<TokenEndpointPorts, 'signIn' | 'findIdentity'> &
        Pick<TokenEndpointRoutesOptions, 'pollDevice'>,
    ) => {
      const { anonymousPull, aliases, publicOrigin } = config
      const { signIn, findIdentity } = ports
      await app.register(tokenEndpointRoutes, {
        tokenEndpoint: createTokenEndpoint({
          service,
          anonymousPull,
          signIn,
          findIdentity,
          issuer: tokenIssuer,
          refreshTokens,
          now,
        }),
        service,
        aliases,
        basicRealm: service,
        pollDevice: ports.pollDevice,
        publicOrigin,
        unavailableDependency,
      })
    },
    async start() {
      await revocations.start()
      signingKeys.start()
    },
    async stop() {
      await Promise.all([revocations.stop(), signingKeys.stop()])
    },
  }
}
