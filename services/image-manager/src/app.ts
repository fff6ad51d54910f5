import type { Database } from '@registry-manager/database'
import { isDatabaseBusyOrUnavailable } from '@registry-manager/database'
import type { Dependency, PeriodicWork, RunnableService } from '@registry-manager/http'
import {
  ServiceCallError,
  createByteBudget,
  createMetrics,
  createServer,
  createServiceClient,
  health,
  refuseForeignChanges,
  registerApiDocs,
  requireServiceCredential,
} from '@registry-manager/http'
import { createAccountsClient, createAuthenticator } from '@registry-manager/principal'
import { createRegistryClient } from '@registry-manager/registry-client'
import type { FastifyInstance } from 'fastify'
import { API_DESCRIPTION } from './api-description.ts'
import type { ImageManagerConfig } from './config.ts'
import { createContents } from './contents/index.ts'
import { contentsRoutes } from './contents/routes.ts'
import { createDeleteRepositories, createDeletion, createOrphanSchedule } from './delete/index.ts'
import { deleteInternalRoutes } from './delete/internal-routes.ts'
import { serializeDeletions } from './delete/serialize-deletions.ts'
import { greeting } from './greeting.ts'
import { createIndex, createIndexRepositories } from './index/index.ts'
import { indexInternalRoutes } from './index/internal-routes.ts'
import { repositoriesRoutes } from './index/repositories-routes.ts'
import { createPush, createPushRepositories } from './push/index.ts'
import { pushInternalRoutes } from './push/internal-routes.ts'
import { MANIFEST_BUDGET } from './push/manifest-memory.ts'
import { createReconcileSchedule } from './reconcile/index.ts'

export interface ImageManagerDeps {
  readonly db: Database
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  readonly logStream?: { write(line: string): void }
}

/** Builds image-manager: a public and an internal app, and the background work that starts and stops with them. */
export async function createImageManager(
  config: ImageManagerConfig,
  { db, now = Date.now, logStream }: ImageManagerDeps,
): Promise<RunnableService> {
  const { authenticator, findAccount, createRegistry } = createClients(config, now)
  const manifestBudget = createByteBudget(MANIFEST_BUDGET)
  const ports = {
    registry: serializeDeletions(createRegistry()),
    ...createIndexRepositories(db),
    ...createPushRepositories(db),
    ...createDeleteRepositories(db),
  }
  const deletion = createDeletion(ports)
  const { deleteRepository } = deletion
  const { manageRepositories, ...index } = createIndex({
    ...ports,
    findAccount,
    manifestBudget,
    deleteRepository,
  })

  const metrics = createMetrics('image-manager')
  const server = {
    name: 'image-manager',
    logLevel: config.logLevel,
    logStream,
    metrics,
    unavailableDependency,
  }
  const publicApp = createServer({ ...server, trustedProxies: config.trustedProxies })
  await registerApiDocs(publicApp, { ...API_DESCRIPTION, publicOrigin: config.publicOrigin })
  refuseForeignChanges(publicApp, config.publicOrigin)
  await publicApp.register(greeting)
  const { realm, service } = config
  const principals = { authenticator, realm, service, findAccount, now }
  await publicApp.register(repositoriesRoutes, { ...principals, manageRepositories, unavailableDependency })

  const internalApp = createServer(server)
  await internalApp.register(health, { metrics, checks: { revocations: authenticator.feed.check } })
  await internalApp.register(async (app) => {
    requireServiceCredential(app, config.serviceCredential)
    await app.register(pushInternalRoutes, { push: createPush(ports), manifestBudget })
    await app.register(deleteInternalRoutes, deletion)
    await app.register(indexInternalRoutes, { ...index, now })
    await app.register(contentsRoutes, createContents({ db, now }))
  })
  const { log } = internalApp
  const { reconcileIntervalSeconds: intervalSeconds, reconcileConcurrency: concurrency } = config
  runWith(internalApp, createOrphanSchedule({ ...ports, createRegistry }, log))
  if (intervalSeconds !== undefined)
    runWith(
      internalApp,
      createReconcileSchedule({ db, createRegistry, concurrency, intervalSeconds, log, metrics, now }),
    )
  internalApp.addHook('onReady', async () => authenticator.feed.start())
  internalApp.addHook('onClose', async () => authenticator.feed.stop())
  return { publicApp, internalApp }
}

/** The clients of auth-service and of the registry. */
function createClients(config: ImageManagerConfig, now: () => number) {
  const { authServiceUrl, registryUrl, serviceCredential, issuer, service } = config
  const authService = {
    dependency: 'auth-service',
    url: authServiceUrl,
    credential: serviceCredential,
  } as const
  const authenticator = createAuthenticator({
    authService,
    name: 'image-manager',
    issuer,
    audience: service,
    now,
  })
  const { serviceToken } = authenticator
  return {
    authenticator,
    findAccount: createAccountsClient(createServiceClient(authService), authenticator.feed, now),
    createRegistry: (signal?: AbortSignal, repositories?: readonly string[]) =>
      createRegistryClient({ registryUrl, serviceToken, signal, repositories }),
  }
}

/** Starts work with an app. Stops it before the app closes, because it stores its position in the database then. */
function runWith(app: FastifyInstance, work: PeriodicWork): void {
  app.addHook('onReady', async () => work.start())
  app.addHook('preClose', () => work.stop())
}

function unavailableDependency(error: unknown): Dependency | undefined {
  if (isDatabaseBusyOrUnavailable(error)) return 'database'
  return error instanceof ServiceCallError ? error.dependency : undefined
}
