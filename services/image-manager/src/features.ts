import type { Database } from '@registry-manager/database'
import type { Metrics, PeriodicWork } from '@registry-manager/http'
import { createByteBudget, createServiceClient } from '@registry-manager/http'
import { createAccountsClient, createAuthenticator } from '@registry-manager/principal'
import { createRegistryClient } from '@registry-manager/registry-client'
import type { FastifyBaseLogger } from 'fastify'
import {
  createCollection,
  createCollectionHealth,
  createCollectionRepositories,
  createReviewSchedule,
  waitForDataRemovals,
} from './collection/index.ts'
import { createManageCollection } from './collection/manage-collection.ts'
import type { ImageManagerConfig } from './config.ts'
import { createContents } from './contents/index.ts'
import { createDeleteRepositories, createDeletion, createOrphanSchedule } from './delete/index.ts'
import { serializeDeletions } from './delete/serialize-deletions.ts'
import { createHistory, createHistoryCleanup, createHistoryRepositories } from './history/index.ts'
import { createImmutabilityRepositories, createManageTagRules } from './immutability/index.ts'
import { createIndex, createIndexRepositories } from './index/index.ts'
import { createPulls, createPullsCleanup, createPullsRepositories } from './pulls/index.ts'
import { createListImages } from './pulls/list-images.ts'
import { createPush, createPushRepositories } from './push/index.ts'
import { MANIFEST_BUDGET } from './push/manifest-memory.ts'
import { createCountSchedule, createQuotas } from './quotas/index.ts'
import { createManageQuotas } from './quotas/manage-quotas.ts'
import { createReconcileSchedule } from './reconcile/index.ts'
import {
  createManageRetention,
  createRetentionRepositories,
  createRetentionSchedule,
} from './retention/index.ts'
import { createReport } from './storage-report/index.ts'
import { createTrashSchedule } from './trash/index.ts'
import { createManageTrash } from './trash/manage-trash.ts'
import { createTrashMetrics } from './trash/metrics.ts'

export interface FeaturesDeps {
  readonly db: Database
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly metrics: Metrics
  readonly log: FastifyBaseLogger
}

export type Features = ReturnType<typeof createFeatures>

/**
 * Creates the features of image-manager, and gives each one the functions that it needs of the others. Starts and
 * registers nothing.
 */
export function createFeatures(config: ImageManagerConfig, deps: FeaturesDeps) {
  const { db, now, metrics, log } = deps
  const clients = createClients(config, now)
  const { authenticator, findAccount, createRegistry } = clients
  const manifestBudget = createByteBudget(MANIFEST_BUDGET)
  const ports = { registry: serializeDeletions(createRegistry()), ...createRepositories(db) }
  const { quotas, withinQuota } = createQuotas(db)
  const push = waitForDataRemovals(withinQuota(createPush(ports)))
  const deletion = createDeletion(ports, config.trashDays)
  const { deleteRepository } = deletion
  const contents = createContents({ db, now })
  const collectionHealth = createCollectionHealth(config.collection, now)
  const trashMetrics = createTrashMetrics(metrics.registry)
  return {
    authenticator,
    findAccount,
    manifestBudget,
    findRepository: ports.repositories.findRepository,
    index: createIndex({ ...ports, findAccount, manifestBudget, deleteRepository }),
    push,
    deletion,
    contents,
    history: createHistory({ ...ports, manifestBudget, push }),
    pulls: createPulls(ports),
    listImages: createListImages(ports),
    manageTrash: createManageTrash({
      ...ports,
      push,
      manifestBudget,
      ended: trashMetrics.ended,
      onNotEmptied: (err) =>
        log.warn({ err }, 'could not empty an entry of the trash; will retry within a minute'),
    }),
    manageTagRules: createManageTagRules(ports),
    manageRetention: createManageRetention({ ...ports, now }),
    manageQuotas: createManageQuotas({ quotas, storageUsage: contents.storageUsage }),
    collection: createCollection(ports, config.collection),
    manageCollection: createManageCollection(ports, config.collection),
    collectionHealth,
    storageReport: createReport(db, ports),
    tasks: createTasks(config, deps, { ports, createRegistry, trashMetrics, collectionHealth }),
  }
}

type Clients = ReturnType<typeof createClients>

interface TaskParts extends Pick<Clients, 'createRegistry'> {
  readonly ports: ReturnType<typeof createRepositories> & {
    readonly registry: ReturnType<Clients['createRegistry']>
  }
  readonly trashMetrics: ReturnType<typeof createTrashMetrics>
  readonly collectionHealth: ReturnType<typeof createCollectionHealth>
}

/** The background work, which starts and stops with the service. */
function createTasks(
  config: ImageManagerConfig,
  { db, now, metrics, log }: FeaturesDeps,
  { ports, createRegistry, trashMetrics, collectionHealth }: TaskParts,
): PeriodicWork[] {
  const { collection, tagHistoryDays, trashDays, reconcileIntervalSeconds } = config
  const tasks = [
    createCountSchedule(db, log),
    createOrphanSchedule({ ...ports, createRegistry }, log),
    createPullsCleanup({ ...ports, now }, log),
    createTrashSchedule({ ...ports, createRegistry, metrics: trashMetrics }, log),
    createHistoryCleanup({ ...ports, days: tagHistoryDays, now }, log),
  ]
  if (collection.intervalSeconds > 0) {
    const options = { ...collection, log, metrics, onStatus: collectionHealth.update }
    tasks.push(createReviewSchedule({ ...ports, createRegistry }, options))
  }
  tasks.push(
    createRetentionSchedule({
      ports: { ...ports, now, trashDays },
      intervalSeconds: config.retentionIntervalSeconds,
      log,
      metrics,
    }),
  )
  if (reconcileIntervalSeconds !== undefined)
    tasks.push(
      createReconcileSchedule({
        db,
        createRegistry,
        concurrency: config.reconcileConcurrency,
        intervalSeconds: reconcileIntervalSeconds,
        log,
        metrics,
        now,
      }),
    )
  return tasks
}

/** The repository objects of all features, under the names that use cases give to their ports. */
function createRepositories(db: Database) {
  return {
    ...createIndexRepositories(db),
    ...createPushRepositories(db),
    ...createDeleteRepositories(db),
    ...createImmutabilityRepositories(db),
    ...createHistoryRepositories(db),
    ...createPullsRepositories(db),
    ...createRetentionRepositories(db),
    ...createCollectionRepositories(db),
  }
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
