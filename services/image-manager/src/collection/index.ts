import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '@registry-manager/database'
import type { HealthCheck, Metrics, PeriodicWork } from '@registry-manager/http'
import { createPeriodicWork } from '@registry-manager/http'
import type { RegistryClient } from '@registry-manager/registry-client'
import type { FastifyBaseLogger } from 'fastify'
import type { Push } from '../push/push.ts'
import type { AfterDataRemovalPorts } from './after-data-removal.ts'
import { afterDataRemoval } from './after-data-removal.ts'
import { createClaims } from './claims.ts'
import { createListingsRepository } from './listings-repository.ts'
import { createListing } from './listing.ts'
import type { MarkUnusedPorts } from './mark-unused.ts'
import { markUnusedBlobs } from './mark-unused.ts'
import { createCollectionMetrics } from './metrics.ts'
import { createNamesRepository } from './names-repository.ts'
import type { BlobName } from './resolve-names.ts'
import type { ReviewPorts } from './review.ts'
import { reviewBlobs } from './review.ts'
import type { CollectionOptions, CollectionProgress, StoredStatus } from './status.ts'
import { describeStuck } from './status.ts'
import { createStatusRepository } from './status-repository.ts'
import { createUnreferencedRepository } from './unreferenced-repository.ts'
import { createUnusedBlobsRepository } from './unused-blobs-repository.ts'

/** The SQLSTATE with which triggers refuse a row that names data which is being removed (`2026-12-08-storage`). */
const BEING_REMOVED = 'RM002'

/** The repository objects of the collection, under the names that use cases give to their ports. */
export function createCollectionRepositories(db: Database) {
  return {
    unreferenced: createUnreferencedRepository(db),
    listings: createListingsRepository(db),
    names: createNamesRepository(db),
    collectionStatus: createStatusRepository(db),
    unusedBlobs: createUnusedBlobsRepository(db),
  }
}

/** The use cases that storage workers call. With an `intervalSeconds` of 0 there are no claims and no listings. */
export function createCollection(
  ports: Pick<ReturnType<typeof createCollectionRepositories>, 'unreferenced' | 'listings'>,
  options: CollectionOptions,
) {
  return {
    claims: createClaims(ports, options.intervalSeconds === 0),
    listing: createListing(ports, options),
  }
}

const WAITING: AfterDataRemovalPorts = {
  isBeingRemoved: (error) => (error as { code?: string } | null)?.code === BEING_REMOVED,
  pause: (ms) => sleep(ms),
  monotonic: () => performance.now(),
}

/** Makes pushes wait while a storage worker removes data that they name. */
export function waitForDataRemovals(push: Push, waiting: AfterDataRemovalPorts = WAITING): Push {
  return {
    ...push,
    announce: (pushed) => afterDataRemoval(waiting, () => push.announce(pushed)),
    record: (id) => afterDataRemoval(waiting, () => push.record(id)),
    announceBlob: (blob) => afterDataRemoval(waiting, () => push.announceBlob(blob)),
    recordBlobAlias: (alias) => afterDataRemoval(waiting, () => push.recordBlobAlias(alias)),
  }
}

/**
 * Reports `degraded` while condemned data is not removed. The check uses the result of the last review: a probe never
 * waits for the database.
 */
export function createCollectionHealth(options: CollectionOptions, now: () => number) {
  let seen: CollectionProgress | undefined
  return {
    update: (status: StoredStatus): void => {
      seen = { ...status, lastRemovedAt: status.removed.lastAt }
    },
    check: async (): ReturnType<HealthCheck> => {
      const degraded = seen && describeStuck(seen, options, now())
      return degraded === undefined ? 'ok' : { degraded }
    },
  }
}

export type ReviewSchedulePorts = Omit<ReviewPorts, 'registry'> &
  MarkUnusedPorts & { readonly collectionStatus: { findStatus(): Promise<StoredStatus> } } & {
    /** Creates a client whose requests the signal aborts. */
    readonly createRegistry: (signal: AbortSignal) => Pick<RegistryClient, 'headBlob'>
  }

export interface ReviewScheduleOptions {
  readonly intervalSeconds: number
  readonly graceSeconds: number
  readonly log: Pick<FastifyBaseLogger, 'info' | 'warn'>
  readonly metrics: Metrics
  /** Receives the state after each review. */
  readonly onStatus: (status: StoredStatus) => void
}

/** Reviews periodically which blobs nothing references any more. */
export function createReviewSchedule(
  { createRegistry, ...ports }: ReviewSchedulePorts,
  { intervalSeconds, graceSeconds, log, metrics, onStatus }: ReviewScheduleOptions,
): PeriodicWork {
  const gauges = createCollectionMetrics(metrics.registry)
  let lastMarked: BlobName | undefined
  return createPeriodicWork({
    everyMs: intervalSeconds * 1000,
    work: async (signal) => {
      const registry = createRegistry(signal)
      const condemned = await reviewBlobs({ ...ports, registry }, { graceSeconds, signal })
      const status = await ports.collectionStatus.findStatus()
      gauges.set(status)
      onStatus(status)
      if (condemned > 0) log.info({ condemned }, 'blobs that nothing references were condemned')
      if (status.paused || !status.isReconciled) return
      const unused = await markUnusedBlobs(ports, graceSeconds, lastMarked)
      lastMarked = unused.last
      if (unused.marked > 0)
        log.info({ blobs: unused.marked }, 'blobs that no manifest references will be deleted')
    },
    onError: (err) => log.warn({ err }, 'could not review unreferenced blobs; will retry'),
  })
}
