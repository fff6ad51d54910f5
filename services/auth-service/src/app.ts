import type { Database } from '@registry-manager/database'
import { isDatabaseBusyOrUnavailable } from '@registry-manager/database'
import type { RunnableService } from '@registry-manager/http'
import {
  ServiceCallError,
  createMetrics,
  createServer,
  createServiceClient,
  health,
  refuseForeignChanges,
  requireServiceCredential,
} from '@registry-manager/http'
import { createTokenVerifier } from '@registry-manager/principal'
import { findIdentity } from './access-tokens/identity-token.ts'
import { createGlobalRepositories } from './access-tokens/global-repositories.ts'
import { createTokenIssuer } from './access-tokens/issue-access-token.ts'
import { jwks } from './access-tokens/jwks-routes.ts'
import { createRefreshTokensRepository } from './access-tokens/refresh-tokens-repository.ts'
import { createRevocationSnapshot } from './access-tokens/revocation-list.ts'
import type { SigningKeys } from './access-tokens/signing-keys.ts'
import { token } from './access-tokens/token-routes.ts'
import { watchSigningKeys } from './access-tokens/watch-signing-keys.ts'
import { createAccounts, usersApi } from './accounts/index.ts'
import type { AuthServiceConfig } from './config.ts'
import { DirectoryUnavailable } from './directory/directory.ts'
import { createDirectory } from './directory/index.ts'
import { createHousekeeping } from './housekeeping.ts'
import { internal } from './internal-api/routes.ts'
import { containerRegistries } from './provider-api/routes.ts'
import { createRegistryTokens } from './registry-tokens/create-registry-tokens.ts'
import { observeTokens } from './registry-tokens/metrics.ts'
import { createSignInFeature } from './sign-in/index.ts'
import type { SignInDependency } from './sign-in/sign-in.ts'

export interface AuthServiceDeps {
  readonly db: Database
  readonly keys: SigningKeys
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  readonly logStream?: { write(line: string): void }
}

/** Accounts, tokens and keys: who somebody is, what they may do, and a signed word for it. */
export async function createAuthService(
  config: AuthServiceConfig,
  { db, keys, now = Date.now, logStream }: AuthServiceDeps,
): Promise<RunnableService> {
  const { issuer: iss, service, aliases, tokenLifeSeconds, offlineGraceSeconds, logLevel } = config
  const metrics = createMetrics('auth-service')
  const accounts = createAccounts(db)
  const refreshTokens = createRefreshTokensRepository(db, now)
  // A token may be issued from memory as late as the grace allows, and lives its life then.
  const windowMs = (tokenLifeSeconds + offlineGraceSeconds + 60) * 1000
  const revocations = createRevocationSnapshot({ load: accounts.revocationsSince, now, windowMs })
  const directory =
    config.directory &&
    createDirectory(config.directory, {
      db,
      accounts,
      metrics,
      now,
      log: (level, details, message) => internalApp.log[level](details, message),
    })
  const registryTokens = createRegistryTokens(config, {
    db,
    now,
    revocations,
    issuedLastsMs: windowMs,
    onError: (err) => internalApp.log.warn({ err }, 'when registry tokens were used is not written down yet'),
  })
  const signInFeature = createSignInFeature({
    db,
    methods: [registryTokens.signInMethod],
    verifiers: directory ? [directory.passwordVerifier] : [],
    findAccount: accounts.find,
    verifyPassword: accounts.verifyPassword,
    findByRefreshToken: async (secret) => {
      const id = await refreshTokens.findAccountId(secret, service)
      const account = id === undefined ? undefined : await accounts.find({ id })
      return account?.enabled ? account : undefined
    },
    unavailableDependency,
    isRevoked: revocations.isRevoked,
    offlineMs: offlineGraceSeconds * 1000,
    secret: config.serviceCredential,
    metrics,
    now,
    onError: (err) => internalApp.log.warn({ err }, 'could not save the addresses of sign-ins; will retry'),
  })
  const { signIn } = signInFeature
  const findPrincipalById = async (id: string) =>
    (await accounts.find({ id })) ?? registryTokens.tokens.findById(id)
  const { imageManagerUrl, serviceCredential, anonymousPull } = config
  const imageManager = createServiceClient({
    dependency: 'image-manager',
    url: imageManagerUrl,
    credential: serviceCredential,
    timeoutMs: 1000,
  })
  const issuer = createTokenIssuer({
    issuer: iss,
    audience: service,
    lifeSeconds: tokenLifeSeconds,
    sign: keys.sign,
    findGlobal: createGlobalRepositories(imageManager, offlineGraceSeconds * 1000, now),
    now,
  })
  const findKey = async (kid: string) => keys.findKey(kid)
  const identities = {
    verifyToken: createTokenVerifier({ issuer: iss, audience: service, findKey }),
    findPrincipalById,
  }
  const shared = {
    ...identities,
    findIdentity: (token: string) => findIdentity(identities, token),
    signIn,
    unavailableDependency,
    realm: service,
  }

  const server = { name: 'auth-service', logLevel, logStream, metrics, unavailableDependency }
  const publicApp = createServer({ ...server, trustedProxies: config.trustedProxies })
  refuseForeignChanges(publicApp, config.publicOrigin)
  await publicApp.register(jwks, { keys })
  await publicApp.register(token, {
    ...shared,
    service,
    aliases,
    publicOrigin: config.publicOrigin,
    anonymousPull,
    issuer,
    refreshTokens,
  })
  await publicApp.register(usersApi, { ...shared, accounts, lookUpUser: directory?.lookUpUser })
  await publicApp.register(containerRegistries, {
    ...shared,
    ...registryTokens.routes,
    unavailableDependency: (error) =>
      unavailableDependency(error) ?? (error instanceof ServiceCallError ? error.dependency : undefined),
  })
  observeTokens(metrics, registryTokens.tokens, now)

  const internalApp = createServer(server)
  const housekeeping = createHousekeeping({ db, now, metrics, log: internalApp.log })
  const watch = watchSigningKeys(keys, (err) =>
    internalApp.log.error({ err }, 'the signing keys cannot be read'),
  )
  const checks = {
    revocations: revocations.check,
    'signing-keys': watch.check,
    ...(directory && { directory: directory.check }),
  }
  await internalApp.register(health, { metrics, checks })
  await internalApp.register(jwks, { keys })
  await internalApp.register(async (app) => {
    requireServiceCredential(app, serviceCredential)
    await app.register(internal, { signIn, issuer, revocations, findPrincipalById, now })
  })
  internalApp.addHook('onReady', revocations.start)
  internalApp.addHook('onReady', async () => registryTokens.uses.start())
  internalApp.addHook('onReady', async () => signInFeature.start())
  internalApp.addHook('onReady', async () => housekeeping.start())
  internalApp.addHook('onReady', async () => directory?.start())
  // Before anything is closed: the database is still there.
  internalApp.addHook('preClose', registryTokens.uses.stop)
  internalApp.addHook('preClose', signInFeature.stop)
  internalApp.addHook('preClose', housekeeping.stop)
  internalApp.addHook('preClose', async () => directory?.stop())
  internalApp.addHook('onClose', async () => {
    revocations.stop()
    watch.stop()
  })
  return { publicApp, internalApp }
}

function unavailableDependency(error: unknown): SignInDependency | undefined {
  if (error instanceof DirectoryUnavailable) return 'directory'
  return isDatabaseBusyOrUnavailable(error) ? 'database' : undefined
}
