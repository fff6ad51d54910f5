import type { Database } from '@registry-manager/database'
import { isDatabaseBusyOrUnavailable } from '@registry-manager/database'
import type { RunnableService } from '@registry-manager/http'
import {
  createMetrics,
  createServer,
  health,
  refuseForeignChanges,
  registerApiDocs,
} from '@registry-manager/http'
import { createAccess } from './access/index.ts'
import { createAccessTokens } from './access-tokens/index.ts'
import type { SigningKeys } from './access-tokens/signing-keys.ts'
import { createAccounts, usersApi } from './accounts/index.ts'
import { API_DESCRIPTION } from './api-description.ts'
import { createAudit } from './audit/index.ts'
import { createBrowserSessionsFeature } from './browser-sessions/index.ts'
import type { AuthServiceConfig } from './config.ts'
import { DirectoryUnavailable } from './directory/directory.ts'
import { createDeviceFlowFeature } from './device-flow/index.ts'
import { createDirectory } from './directory/index.ts'
import { createFederation } from './federation/index.ts'
import { createHousekeeping } from './housekeeping.ts'
import { createOidc } from './oidc/index.ts'
import { registerInternalApi } from './internal-api/index.ts'
import { createPersonalTokens } from './personal-tokens/index.ts'
import { createProviderApi } from './provider-api/index.ts'
import { createRegistryTokens } from './registry-tokens/index.ts'
import { createCredentialCaches } from './sign-in/credential-caches.ts'
import { createSignInFeature } from './sign-in/index.ts'
import type { SignInDependency } from './sign-in/sign-in.ts'
import { signInRoutes } from './sign-in-page/sign-in-routes.ts'

export interface AuthServiceDeps {
  readonly db: Database
  readonly keys: SigningKeys
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  readonly logStream?: { write(line: string): void }
}

/** Composes auth-service: each feature gets what it needs, and registers its routes on the public or internal port. */
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
  const accounts = createAccounts(db)
  const newCredentialCache = createCredentialCaches(metrics, now)
  const shared = {
    db,
    now,
    metrics,
    log: internalApp.log,
    accounts,
    newCredentialCache,
    unavailableDependency,
  }

  const accessTokens = createAccessTokens(config, { ...shared, keys })
  accounts.watchRevocations(accessTokens.revocation.onRevoked)
  const access = createAccess({ ...shared, ...accessTokens.revocation })
  const directory =
    config.directory &&
    createDirectory(config.directory, {
      ...shared,
      access,
      log: (level, details, message) => internalApp.log[level](details, message),
    })
  const registryTokens = createRegistryTokens(config, { ...shared, ...accessTokens.revocation })
  const personalTokens = createPersonalTokens(config, {
    ...shared,
    ...accessTokens.revocation,
    // Nobody signs in with the password of a directory user who has only a personal token.
    isRefreshed: (owner) => !owner.directory || directory?.refreshesUsers === true,
  })
  const federation = createFederation(config, { ...shared, ...accessTokens.revocation })
  const audit = createAudit(shared)
  const signInFeature = createSignInFeature({
    ...shared,
    ...accessTokens.revocation,
    methods: [registryTokens.signInMethod, personalTokens.signInMethod, federation.signInMethod],
    verifiers: directory ? [directory.passwordVerifier] : [],
    findAccount: accounts.find,
    verifyPassword: accounts.verifyPassword,
    findByRefreshToken: accessTokens.findByRefreshToken,
    offlineMs: config.offlineGraceSeconds * 1000,
    secret: config.serviceCredential,
    onError: (err) => internalApp.log.warn({ err }, 'could not save the addresses of sign-ins; will retry'),
  })
  const signIn = audit.watchSignIns(signInFeature.signIn)
  const findAccountById = async (id: string, via?: string) =>
    via === undefined
      ? ((await accounts.find({ id })) ?? registryTokens.registryTokens.find(id))
      : personalTokens.findPrincipal(id, via)
  const findIdentity = accessTokens.identityFinder(findAccountById)
  const { noteRefusal } = audit
  const sessions = createBrowserSessionsFeature({
    db,
    now,
    findAccount: accounts.find,
    publicOrigin: config.publicOrigin,
  })
  const { publicOrigin, oidcProviders = [] } = config
  const { setExternalMemberships } = access
  const oidc = createOidc(oidcProviders, { db, now, accounts, publicOrigin, setExternalMemberships })
  const deviceFlow = createDeviceFlowFeature({
    db,
    now,
    findAccount: accounts.find,
    createPersonalToken: personalTokens.create,
    secret: config.serviceCredential,
    publicOrigin,
  })
  const realm = config.service
  const principals = { signIn, findIdentity, sessions, noteRefusal, realm, unavailableDependency }

  await registerApiDocs(publicApp, { ...API_DESCRIPTION, publicOrigin: config.publicOrigin })
  refuseForeignChanges(publicApp, config.publicOrigin)
  await accessTokens.registerJwks(publicApp)
  await accessTokens.registerTokenEndpoint(publicApp, { ...principals, pollDevice: deviceFlow.poll })
  await publicApp.register(usersApi, {
    ...principals,
    accounts,
    lookUpUser: directory?.lookUpUser,
    providers: oidc.ids,
  })
  await createProviderApi(config, db).register(publicApp, {
    ...principals,
    registerMore: registryTokens.register,
  })
  await personalTokens.register(publicApp, principals)
  await federation.register(publicApp, principals)
  await access.register(publicApp, principals, {
    findByName: async (name) => (await accounts.find(name)) ?? registryTokens.findByName(name),
    findWorkload: federation.findWorkload,
    isGlobal: accessTokens.isGlobal,
  })
  await audit.register(publicApp, principals)
  await publicApp.register(signInRoutes, { ...principals, links: oidc.links })
  await oidc.register(publicApp, principals)
  await deviceFlow.register(publicApp, principals)

  const checks = { ...accessTokens.checks, ...(directory && { directory: directory.check }) }
  await internalApp.register(health, { metrics, checks })
  await accessTokens.registerJwks(internalApp)
  await registerInternalApi(internalApp, {
    ...accessTokens.internal(signIn),
    serviceCredential: config.serviceCredential,
    findPrincipalById: async (id, via) =>
      (await findAccountById(id, via)) ?? (via === undefined ? federation.findWorkload(id) : undefined),
    now,
  })

  const housekeeping = createHousekeeping({ ...shared, auditDays: config.auditDays })
  const tasks = [registryTokens, personalTokens, signInFeature, audit, housekeeping, directory]
  internalApp.addHook('onReady', async () => {
    await accessTokens.start()
    for (const task of tasks) task?.start()
  })
  // Before the database is closed: some tasks save their last data.
  internalApp.addHook('preClose', async () => {
    await Promise.all(tasks.map((task) => task?.stop()))
  })
  // After the last request: until then revocations must take effect.
  internalApp.addHook('onClose', accessTokens.stop)
  return { publicApp, internalApp }
}

function unavailableDependency(error: unknown): SignInDependency | undefined {
  if (error instanceof DirectoryUnavailable) return 'directory'
  return isDatabaseBusyOrUnavailable(error) ? 'database' : undefined
}
