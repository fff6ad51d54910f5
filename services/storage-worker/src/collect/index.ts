import type { HealthCheck, PeriodicWork, ServiceClient } from '@registry-manager/http'
import { createPeriodicWork, explainError } from '@registry-manager/http'
import type { Storage } from '../storage/storage.ts'
import type { Clocks } from './claim-time.ts'
import { createCollectionClient } from './collection-client.ts'
import { createListStorage } from './list-storage.ts'
import type { createCollectMetrics } from './metrics.ts'
import type { Log } from './remove-claimed.ts'
import { createRemoveClaimed } from './remove-claimed.ts'

export interface CollectDeps {
  readonly imageManager: ServiceClient
  readonly storage: Storage
  /** The name of this process in image-manager's records. */
  readonly worker: string
  readonly clocks: Clocks
  readonly log: Log
  readonly metrics: ReturnType<typeof createCollectMetrics>
}

/** Pause while there is nothing to remove, and between two checks whether a listing is due, in milliseconds. */
const CLAIM_EVERY_MS = 5000
const LISTING_EVERY_MS = 10_000

/** The background work of the storage worker, and the health check of its calls to image-manager. */
export function createCollect(deps: CollectDeps): {
  readonly tasks: readonly PeriodicWork[]
  check: HealthCheck
} {
  const { imageManager, storage, worker, clocks, log, metrics } = deps
  const collection = createCollectionClient(imageManager, worker)
  const removeClaimed = createRemoveClaimed({
    claims: collection,
    storage,
    clocks,
    log,
    onRemoval: metrics.removed,
  })
  const listStorage = createListStorage({
    listings: collection,
    listBlobs: storage.listBlobs,
    listRepositories: storage.listRepositories,
    log,
    monotonic: clocks.monotonic,
  })
  let fault: string | undefined
  const claiming = createPeriodicWork({
    everyMs: CLAIM_EVERY_MS,
    async work(signal) {
      await removeClaimed(signal)
      if (fault !== undefined) log.info({}, 'image-manager responds again')
      fault = undefined
    },
    onError(error) {
      if (fault === undefined)
        log.warn({ reason: explainError(error) }, 'could not claim data to remove; will retry')
      fault = explainError(error)
    },
  })
  const listing = createPeriodicWork({
    everyMs: LISTING_EVERY_MS,
    async work(signal) {
      if ((await listStorage(signal)) === 'complete') metrics.listed('complete')
    },
    onError(error) {
      metrics.listed('failed')
      log.warn({ reason: explainError(error) }, 'could not list the storage; will retry')
    },
  })
  return {
    tasks: [claiming, listing],
    check: async () => (fault === undefined ? 'ok' : { degraded: fault }),
  }
}
