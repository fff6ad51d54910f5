import type { Database } from '@registry-manager/database'
import type { Dependency, Metrics, RunnableService } from '@registry-manager/http'
import {
  ServiceCallError,
  createMetrics,
  createServer,
  createServiceClient,
  health,
  refuseForeignChanges,
  registerApiDocs,
} from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import type { SigningKeys } from './access-tokens/signing-keys.ts'
import { usersApi } from './accounts/index.ts'
import { API_DESCRIPTION } from './api-description.ts'
import type { AuthServiceConfig } from './config.ts'
import type { Features } from './features.ts'
import { createFeatures, unavailableDependency } from './features.ts'
import { registerInternalApi } from './internal-api/index.ts'
import { isId } from './principals/principal.ts'
import { createProviderApi } from './provider-api/index.ts'
import { signInRoutes } from './sign-in-page/sign-in-routes.ts'

export interface AuthServiceDeps {
  readonly db: Database
  readonly keys: SigningKeys
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  readonly logStream?: { write(line: string): void }
}

/** Builds auth-service: a public and an internal app, and the background work that starts and stops with them. */
export async function createAuthService(
  config: AuthServiceConfig,
  { db, keys, now = Date.now, logStream }: AuthServiceDeps,
): Promise<RunnableService> {
  const metrics = createMetrics('auth-service')
  const { logLevel, trustedProxies } = config
  const server = { name: 'auth-service', logLevel, logStream, metrics, unavailableDependency }
  const publicApp = createServer({ ...server, trustedProxies })
  const internalApp = createServer(server)
  const { log } = internalApp
  const features = createFeatures(config, { db, keys, now, metrics, log })
  await registerPublicApis(publicApp, config, { db, now, features })
  await registerInternalApis(internalApp, config, { now, metrics, features })

  const { accessTokens, tasks } = features
  internalApp.addHook('onReady', async () => {
    await accessTokens.start()
    for (const task of tasks) task.start()
  })
  // Before the database is closed: some tasks save their last data.
  internalApp.addHook('preClose', async () => {
    await Promise.all(tasks.map((task) => task.stop()))
  })
  // After the last request: until then revocations must take effect.
  internalApp.addHook('onClose', accessTokens.stop)
  return { publicApp, internalApp }
}

interface PublicDeps {
  readonly db: Database
  readonly now: () => number
  readonly features: Features
}

async function registerPublicApis(
  app: FastifyInstance,
  config: AuthServiceConfig,
  { db, now, features }: PublicDeps,
): Promise<void> {
  const { accounts, accessTokens, access, registryTokens, personalTokens, federation } = features
  const { audit, signIn, sessions, oidc, deviceFlow, directory } = features
  const { publicOrigin, service: realm } = config
  const { noteRefusal } = audit
  const findIdentity = accessTokens.identityFinder(features.findAccountById)
  const principals = { signIn, findIdentity, sessions, noteRefusal, realm, unavailableDependency, now }
  // Lists take longer than the lookups of a sign-in.
  const { imageManagerUrl: url, serviceCredential: credential } = config
  const imageManager = createServiceClient({ dependency: 'image-manager', url, credential, timeoutMs: 5000 })
  // Only the APIs with these options report that image-manager is unavailable.
  const withImageManager = { ...principals, unavailableDependency: unavailableService }

  await registerApiDocs(app, { ...API_DESCRIPTION, publicOrigin })
  refuseForeignChanges(app, publicOrigin)
  await accessTokens.registerJwks(app)
  await accessTokens.registerTokenEndpoint(app, { ...principals, pollDevice: deviceFlow.poll })
  const { lookUpUser } = directory ?? {}
  await app.register(usersApi, { ...principals, accounts, lookUpUser, providers: oidc.ids })
  await createProviderApi({ ...config, imageManager }, db).register(app, {
    ...withImageManager,
    registerTokens: registryTokens.register,
  })
  await personalTokens.register(app, principals)
  await federation.register(app, principals)
  await access.register(app, withImageManager, {
    findByName: async (name) => (await accounts.find(name)) ?? registryTokens.findByName(name),
    findPersonalToken: personalTokens.findOfOwner,
    findRegistryToken: async (nameOrId) =>
      (await registryTokens.findByName(nameOrId)) ??
      (isId(nameOrId) ? registryTokens.registryTokens.find(nameOrId) : undefined),
    findWorkload: federation.findWorkload,
    listWorkloads: federation.listWorkloads,
    isGlobal: accessTokens.isGlobal,
    imageManager,
  })
  await audit.register(app, principals)
  await app.register(signInRoutes, { ...principals, links: oidc.links, sections: [personalTokens.section] })
  await oidc.register(app, principals)
  await deviceFlow.register(app, principals)
}

interface InternalDeps {
  readonly now: () => number
  readonly metrics: Metrics
  readonly features: Features
}

async function registerInternalApis(
  app: FastifyInstance,
  { serviceCredential }: AuthServiceConfig,
  { now, metrics, features }: InternalDeps,
): Promise<void> {
  const { accessTokens, directory, federation, findAccountById, signIn } = features
  const checks = { ...accessTokens.checks, ...(directory && { directory: directory.check }) }
  await app.register(health, { metrics, checks })
  await accessTokens.registerJwks(app)
  await registerInternalApi(app, {
    ...accessTokens.internal(signIn),
    serviceCredential,
    findPrincipalById: async (id, via) =>
      (await findAccountById(id, via)) ?? (via === undefined ? federation.findWorkload(id) : undefined),
    now,
  })
}

/** Also names image-manager, which some lists come from. */
function unavailableService(error: unknown): Dependency | undefined {
  return unavailableDependency(error) ?? (error instanceof ServiceCallError ? error.dependency : undefined)
}
