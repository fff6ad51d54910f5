import type { Database } from '@registry-manager/database'
import { isDatabaseBusyOrUnavailable } from '@registry-manager/database'
import type { Dependency, Metrics, RunnableService } from '@registry-manager/http'
import {
  ServiceCallError,
  createMetrics,
  createServer,
  health,
  refuseForeignChanges,
  registerApiDocs,
  requireServiceCredential,
} from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import { API_DESCRIPTION } from './api-description.ts'
import { collectionRoutes } from './collection/collection-routes.ts'
import { collectionInternalRoutes } from './collection/internal-routes.ts'
import type { ImageManagerConfig } from './config.ts'
import { contentsRoutes } from './contents/routes.ts'
import { deleteInternalRoutes } from './delete/internal-routes.ts'
import type { Features } from './features.ts'
import { createFeatures } from './features.ts'
import { greeting } from './greeting.ts'
import { historyRoutes } from './history/history-routes.ts'
import { immutabilityRoutes } from './immutability/immutability-routes.ts'
import { indexInternalRoutes } from './index/internal-routes.ts'
import { repositoriesRoutes } from './index/repositories-routes.ts'
import { pullsInternalRoutes } from './pulls/internal-routes.ts'
import { listsRoutes } from './pulls/lists-routes.ts'
import { pushInternalRoutes } from './push/internal-routes.ts'
import { quotasRoutes } from './quotas/routes.ts'
import { retentionRoutes } from './retention/retention-routes.ts'
import { storageReportRoutes } from './storage-report/storage-report-routes.ts'
import { trashRoutes } from './trash/trash-routes.ts'

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
  const metrics = createMetrics('image-manager')
  const { logLevel, trustedProxies } = config
  const server = { name: 'image-manager', logLevel, logStream, metrics, unavailableDependency }
  const internalApp = createServer(server)
  const publicApp = createServer({ ...server, trustedProxies })
  const features = createFeatures(config, { db, now, metrics, log: internalApp.log })
  await registerPublicApis(publicApp, config, { now, features })
  await registerInternalApis(internalApp, config, { now, metrics, features })

  const { tasks, authenticator } = features
  internalApp.addHook('onReady', async () => {
    for (const task of tasks) task.start()
    authenticator.feed.start()
  })
  // Before the database is closed: some tasks save their position.
  internalApp.addHook('preClose', async () => {
    await Promise.all(tasks.map((task) => task.stop()))
  })
  internalApp.addHook('onClose', async () => authenticator.feed.stop())
  return { publicApp, internalApp }
}

interface PublicDeps {
  readonly now: () => number
  readonly features: Features
}

async function registerPublicApis(
  app: FastifyInstance,
  { realm, service, publicOrigin }: ImageManagerConfig,
  { now, features }: PublicDeps,
): Promise<void> {
  const { authenticator, findAccount, findRepository } = features
  const management = { authenticator, realm, service, findAccount, now, unavailableDependency }
  await registerApiDocs(app, { ...API_DESCRIPTION, publicOrigin })
  refuseForeignChanges(app, publicOrigin)
  await app.register(greeting)
  const { manageRepositories } = features.index
  await app.register(repositoriesRoutes, { ...management, manageRepositories })
  await app.register(historyRoutes, { ...management, ...features.history, findRepository })
  const { listImages, manageTrash, manageTagRules, manageRetention, manageQuotas } = features
  await app.register(listsRoutes, { ...management, findRepository, listImages })
  await app.register(trashRoutes, { ...management, manageTrash })
  await app.register(immutabilityRoutes, { ...management, manageTagRules })
  await app.register(retentionRoutes, { ...management, manageRetention })
  await app.register(quotasRoutes, { ...management, manageQuotas })
  const { manageCollection, storageReport } = features
  await app.register(collectionRoutes, { ...management, manageCollection })
  await app.register(storageReportRoutes, { ...management, storageReport })
}

interface InternalDeps extends PublicDeps {
  readonly metrics: Metrics
}

async function registerInternalApis(
  internalApp: FastifyInstance,
  { serviceCredential }: ImageManagerConfig,
  { now, metrics, features }: InternalDeps,
): Promise<void> {
  const { authenticator, collectionHealth, push, manifestBudget } = features
  const checks = { revocations: authenticator.feed.check, collection: collectionHealth.check }
  await internalApp.register(health, { metrics, checks })
  await internalApp.register(async (app) => {
    requireServiceCredential(app, serviceCredential)
    await app.register(pushInternalRoutes, { push, manifestBudget })
    await app.register(deleteInternalRoutes, features.deletion)
    await app.register(pullsInternalRoutes, features.pulls)
    await app.register(indexInternalRoutes, { ...features.index, now })
    await app.register(contentsRoutes, features.contents)
    await app.register(collectionInternalRoutes, features.collection)
  })
}

function unavailableDependency(error: unknown): Dependency | undefined {
  if (isDatabaseBusyOrUnavailable(error)) return 'database'
  return error instanceof ServiceCallError ? error.dependency : undefined
}
