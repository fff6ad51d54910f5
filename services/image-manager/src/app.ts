import type { Database } from '@registry-manager/database'
import { isDatabaseBusyOrUnavailable } from '@registry-manager/database'
import type { Dependency, RunnableService } from '@registry-manager/http'
import {
  ServiceCallError,
  createByteBudget,
  createMetrics,
  createServer,
  createServiceClient,
  health,
  refuseForeignChanges,
  requireServiceCredential,
} from '@registry-manager/http'
import { createAccountsClient, createAuthenticator } from '@registry-manager/principal'
import { createRegistryClient } from '@registry-manager/registry-client'
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
  const { issuer, service, realm, registryUrl, serviceCredential, logLevel, reconcileIntervalSeconds } =
    config
  const authService = createServiceClient({
    dependency: 'auth-service',
    url: config.authServiceUrl,
    credential: serviceCredential,
  })
  const authenticator = createAuthenticator({
    authService,
    name: 'image-manager',
    issuer,
    audience: service,
    now,
  })
  const findAccount = createAccountsClient(authService, authenticator.feed, now)
  const upstream = { registryUrl, serviceToken: authenticator.serviceToken }

  const manifestBudget = createByteBudget(MANIFEST_BUDGET)
  const ports = {
    registry: serializeDeletions(createRegistryClient(upstream)),
    ...createIndexRepositories(db),
    ...createPushRepositories(db),
    ...createDeleteRepositories(db),
  }
  const deletion = createDeletion(ports)
  const { deleteRepository } = deletion
  const index = createIndex({ ...ports, findAccount, manifestBudget, deleteRepository })

  const metrics = createMetrics('image-manager')
  const server = { name: 'image-manager', logLevel, logStream, metrics, unavailableDependency }
  const publicApp = createServer({ ...server, trustedProxies: config.trustedProxies })
  refuseForeignChanges(publicApp, config.publicOrigin)
  await publicApp.register(greeting)
  await publicApp.register(repositoriesRoutes, {
    authenticator,
    realm,
    service,
    findAccount,
    manageRepositories: index.manageRepositories,
    unavailableDependency,
  })

  const internalApp = createServer(server)
  await internalApp.register(health, { metrics, checks: { revocations: authenticator.feed.check } })
  await internalApp.register(async (app) => {
    requireServiceCredential(app, serviceCredential)
    await app.register(pushInternalRoutes, { push: createPush(ports), manifestBudget })
    await app.register(deleteInternalRoutes, deletion)
    await app.register(indexInternalRoutes, index)
    await app.register(contentsRoutes, createContents({ db, now }))
  })
  internalApp.addHook('onReady', async () => authenticator.feed.start())
  internalApp.addHook('onClose', async () => authenticator.feed.stop())
  const orphans = createOrphanSchedule(ports, internalApp.log)
  internalApp.addHook('onReady', async () => orphans.start())
  internalApp.addHook('preClose', async () => orphans.stop())
  if (reconcileIntervalSeconds !== undefined) {
    const schedule = createReconcileSchedule({
      db,
      createRegistry: (signal) => createRegistryClient({ ...upstream, signal }),
      intervalSeconds: reconcileIntervalSeconds,
      log: internalApp.log,
      metrics,
      now,
    })
    internalApp.addHook('onReady', async () => schedule.start())
    // preClose: the run saves its position, so the database must still be open.
    internalApp.addHook('preClose', async () => schedule.stop())
  }
  return { publicApp, internalApp }
}

function unavailableDependency(error: unknown): Dependency | undefined {
  if (isDatabaseBusyOrUnavailable(error)) return 'database'
  return error instanceof ServiceCallError ? error.dependency : undefined
}
