import { randomBytes } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import { isDatabaseBusyOrUnavailable } from '@registry-manager/database'
import type { Dependency, RunnableService } from '@registry-manager/http'
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
import { createDirectory } from './directory/create-directory.ts'
import { createGlobalRepositories } from './access-tokens/global-repositories.ts'
import { createHousekeeping } from './housekeeping.ts'
import { createKnownAddresses } from './sign-in/known-addresses.ts'
import { createPasswordHasher } from './accounts/password-hasher.ts'
import { createRefreshTokensRepository } from './access-tokens/refresh-tokens-repository.ts'
import { createRevocationSnapshot } from './access-tokens/revocation-list.ts'
import { createSharedFailures } from './sign-in/shared-failures.ts'
import { countSignIns } from './sign-in/metrics.ts'
import type { SigningKeys } from './access-tokens/signing-keys.ts'
import { observeTokens } from './registry-tokens/metrics.ts'
import { watchSigningKeys } from './access-tokens/watch-signing-keys.ts'
import { createUsersStore } from './accounts/manage-users.ts'
import type { AuthServiceConfig } from './config.ts'
import { createEnrolment } from './directory/enrolment.ts'
import { DirectoryUnavailable } from './directory/directory.ts'
import type { StoredAccount } from './accounts/account.ts'
import { createTokenIssuer } from './access-tokens/issue-access-token.ts'
import { KNOWN_MS, createSignIn } from './sign-in/sign-in.ts'
import { createFailureMemory } from './sign-in/failure-memory.ts'
import { createSignInLimits } from './sign-in/sign-in-limits.ts'
import { createCredentialCache } from './sign-in/credential-cache.ts'
import { createRegistryTokens } from './registry-tokens/create-registry-tokens.ts'
import { containerRegistries } from './provider-api/routes.ts'
import { internal } from './internal-api/routes.ts'
import { jwks } from './access-tokens/jwks-routes.ts'
import { token } from './access-tokens/token-routes.ts'
import { users } from './accounts/users-routes.ts'

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
  const usersStore = createUsersStore(db, createPasswordHasher(), now)
  const refreshTokens = createRefreshTokensRepository(db, now)
  // A token may be issued from memory as late as the grace allows, and lives its life then.
  const windowMs = (tokenLifeSeconds + offlineGraceSeconds + 60) * 1000
  const revocations = createRevocationSnapshot({ load: usersStore.revocationsSince, now, windowMs })
  const directory =
    config.directory &&
    createDirectory(config.directory, {
      db,
      users: usersStore,
      metrics,
      now,
      log: (level, details, message) => internalApp.log[level](details, message),
    })
  const addresses = createKnownAddresses(db, now, (err) =>
    internalApp.log.warn({ err }, 'could not save the addresses of sign-ins; will retry'),
  )
  const failures = createSharedFailures(db, createFailureMemory(now, 50_000), config.serviceCredential, now)
  const limits = createSignInLimits<StoredAccount>({ failures, addresses, now })
  const people = createSignIn({
    directory: directory?.signIn,
    findAccount: usersStore.findByUsername,
    findByRefreshToken: async (secret) => {
      const id = await refreshTokens.findAccountId(secret, service)
      const account = id === undefined ? undefined : await usersStore.findById(id)
      return account?.enabled ? account : undefined
    },
    isUnavailable: isDatabaseBusyOrUnavailable,
    verifyPassword: usersStore.verifyPassword,
    isRevoked: revocations.isRevoked,
    memory: createCredentialCache({
      key: randomBytes(32),
      now,
      maxAgeMs: Math.max(KNOWN_MS, offlineGraceSeconds * 1000),
      maxEntries: 50_000,
    }),
    offlineMs: offlineGraceSeconds * 1000,
    limits,
  })
  const registryTokens = createRegistryTokens(config, {
    db,
    now,
    revocations,
    issuedLastsMs: windowMs,
    refuse: limits.refuseToken,
    onError: (err) => internalApp.log.warn({ err }, 'when registry tokens were used is not written down yet'),
  })
  const signIn = countSignIns(metrics, registryTokens.beside(people))
  const findHolderById = async (id: string) =>
    (await usersStore.findById(id)) ?? registryTokens.tokens.findById(id)
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
    findHolderById,
  }
  const shared = { ...identities, signIn, unavailableDependency, realm: service }

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
  await publicApp.register(users, {
    ...shared,
    users: usersStore,
    enrol: directory?.enrol ?? createEnrolment(undefined),
  })
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
    await app.register(internal, { signIn, issuer, revocations, findHolderById, now })
  })
  internalApp.addHook('onReady', revocations.start)
  internalApp.addHook('onReady', async () => registryTokens.uses.start())
  internalApp.addHook('onReady', async () => addresses.start())
  internalApp.addHook('onReady', async () => housekeeping.start())
  internalApp.addHook('onReady', async () => directory?.start())
  // Before anything is closed: the database is still there.
  internalApp.addHook('preClose', registryTokens.uses.stop)
  internalApp.addHook('preClose', addresses.stop)
  internalApp.addHook('preClose', housekeeping.stop)
  internalApp.addHook('onClose', async () => {
    directory?.stop()
    revocations.stop()
    watch.stop()
  })
  return { publicApp, internalApp }
}

function unavailableDependency(error: unknown): Dependency | undefined {
  if (error instanceof DirectoryUnavailable) return 'directory'
  return isDatabaseBusyOrUnavailable(error) ? 'database' : undefined
}
