import { randomBytes } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import { isDatabaseBusyOrUnavailable } from '@registry-manager/database'
import type { Dependency, RunnableService } from '@registry-manager/http'
import { createMetrics, createServer, health, refuseForeignChanges } from '@registry-manager/http'
import { createAccessTokens } from './access-tokens/index.ts'
import type { SigningKeys } from './access-tokens/signing-keys.ts'
import type { StoredAccount } from './accounts/account.ts'
import { createUsersStore } from './accounts/manage-users.ts'
import { createPasswordHasher } from './accounts/password-hasher.ts'
import { users } from './accounts/users-routes.ts'
import type { AuthServiceConfig } from './config.ts'
import { createDirectory } from './directory/create-directory.ts'
import { DirectoryUnavailable } from './directory/directory.ts'
import { createEnrolment } from './directory/enrolment.ts'
import { createHousekeeping } from './housekeeping.ts'
import { registerInternalApi } from './internal-api/index.ts'
import { createProviderApi } from './provider-api/index.ts'
import { createRegistryTokens } from './registry-tokens/index.ts'
import { createCredentialCache } from './sign-in/credential-cache.ts'
import { createFailureMemory } from './sign-in/failure-memory.ts'
import { createKnownAddresses } from './sign-in/known-addresses.ts'
import { countSignIns } from './sign-in/metrics.ts'
import { createSharedFailures } from './sign-in/shared-failures.ts'
import { createSignInLimits } from './sign-in/sign-in-limits.ts'
import { KNOWN_MS, createSignIn } from './sign-in/sign-in.ts'

export interface AuthServiceDeps {
  readonly db: Database
  readonly keys: SigningKeys
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  readonly logStream?: { write(line: string): void }
}

/** Builds auth-service from its features: accounts, sign-in, tokens, and the APIs on them. */
export async function createAuthService(
  config: AuthServiceConfig,
  { db, keys, now = Date.now, logStream }: AuthServiceDeps,
): Promise<RunnableService> {
  const metrics = createMetrics('auth-service')
  const server = {
    name: 'auth-service',
    logLevel: config.logLevel,
    logStream,
    metrics,
    unavailableDependency,
  }
  const publicApp = createServer({ ...server, trustedProxies: config.trustedProxies })
  const internalApp = createServer(server)
  const { log } = internalApp
  const shared = { db, now, metrics, log, unavailableDependency }

  const usersStore = createUsersStore(db, createPasswordHasher(), now)
  const directory =
    config.directory &&
    createDirectory(config.directory, {
      db,
      users: usersStore,
      metrics,
      now,
      log: (level, details, message) => log[level](details, message),
    })
  const accessTokens = createAccessTokens(config, { ...shared, keys })
  const { isRevoked } = accessTokens.revocations
  const addresses = createKnownAddresses(db, now, (err) =>
    log.warn({ err }, 'could not save the addresses of sign-ins; will retry'),
  )
  const failures = createSharedFailures(db, createFailureMemory(now, 50_000), config.serviceCredential, now)
  const limits = createSignInLimits<StoredAccount>({ failures, addresses, now })
  const people = createSignIn({
    directory: directory?.signIn,
    findAccount: usersStore.findByUsername,
    findByRefreshToken: accessTokens.refreshTokens.findAccount,
    isUnavailable: isDatabaseBusyOrUnavailable,
    verifyPassword: usersStore.verifyPassword,
    isRevoked,
    memory: createCredentialCache({
      key: randomBytes(32),
      now,
      maxAgeMs: Math.max(KNOWN_MS, config.offlineGraceSeconds * 1000),
      maxEntries: 50_000,
    }),
    offlineMs: config.offlineGraceSeconds * 1000,
    limits,
  })
  const registryTokens = createRegistryTokens({
    ...shared,
    offlineGraceSeconds: config.offlineGraceSeconds,
    accessTokenWindowMs: accessTokens.windowMs,
    isRevoked,
    refuse: limits.refuseToken,
  })
  const signIn = countSignIns(metrics, registryTokens.withRegistryTokens(people))
  const findPrincipalById = async (id: string) =>
    (await usersStore.findById(id)) ?? registryTokens.registryTokens.find(id)
  const authentication = {
    signIn,
    findPrincipalById,
    verifyToken: accessTokens.verifyToken,
    realm: config.service,
    unavailableDependency,
  }

  refuseForeignChanges(publicApp, config.publicOrigin)
  await accessTokens.registerJwks(publicApp)
  await accessTokens.registerTokenEndpoint(publicApp, authentication)
  await publicApp.register(users, {
    ...authentication,
    users: usersStore,
    enrol: directory?.enrol ?? createEnrolment(undefined),
  })
  await createProviderApi(config, db).register(publicApp, {
    ...authentication,
    registerMore: registryTokens.register,
  })

  const checks = { ...accessTokens.checks, ...(directory && { directory: directory.check }) }
  await internalApp.register(health, { metrics, checks })
  await accessTokens.registerJwks(internalApp)
  await registerInternalApi(internalApp, {
    serviceCredential: config.serviceCredential,
    exchangeCredentials: accessTokens.exchangeCredentials(signIn),
    issuer: accessTokens.issuer,
    revocations: accessTokens.revocations,
    findPrincipalById,
    now,
  })
  const housekeeping = createHousekeeping(shared)
  internalApp.addHook('onReady', accessTokens.start)
  internalApp.addHook('onReady', async () => registryTokens.start())
  internalApp.addHook('onReady', async () => addresses.start())
  internalApp.addHook('onReady', async () => housekeeping.start())
  internalApp.addHook('onReady', async () => directory?.start())
  // Before anything is closed: the database is still there.
  internalApp.addHook('preClose', registryTokens.stop)
  internalApp.addHook('preClose', addresses.stop)
  internalApp.addHook('preClose', housekeeping.stop)
  internalApp.addHook('onClose', async () => {
    directory?.stop()
    await accessTokens.stop()
  })
  return { publicApp, internalApp }
}

function unavailableDependency(error: unknown): Dependency | undefined {
  if (error instanceof DirectoryUnavailable) return 'directory'
  return isDatabaseBusyOrUnavailable(error) ? 'database' : undefined
}
