import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import type { Removal } from '../storage/storage.ts'

/** Metrics of the storage worker. */
export function createCollectMetrics(registry: Registry) {
  const registers = [registry]
  const digests = new Counter({
    name: 'storage_worker_digests_total',
    help: 'Digests of claims, by outcome (removed, failed, unknown)',
    labelNames: ['outcome'] as const,
    registers,
  })
  const bytes = new Counter({
    name: 'storage_worker_removed_bytes_total',
    help: 'Bytes of data that was removed; S3 does not report sizes',
    registers,
  })
  const requests = new Counter({
    name: 'storage_worker_s3_requests_total',
    help: 'Requests to S3, by operation',
    labelNames: ['operation'] as const,
    registers,
  })
  const listings = new Counter({
    name: 'storage_worker_listings_total',
    help: 'Listings of the storage, by outcome (complete, failed)',
    labelNames: ['outcome'] as const,
    registers,
  })
  const listed = new Gauge({
    name: 'storage_worker_last_listing_timestamp_seconds',
    help: 'Unix time at which this process last completed a listing; 0 if it has completed none',
    registers,
  })
  return {
    requested: (operation: string) => requests.inc({ operation }),
    removed(removal: Removal): void {
      for (const outcome of ['removed', 'failed', 'unknown'] as const)
        digests.inc({ outcome }, removal[outcome].length)
      bytes.inc(removal.removed.reduce((sum, blob) => sum + (blob.bytes ?? 0), 0))
    },
    listed(outcome: 'complete' | 'failed'): void {
      listings.inc({ outcome })
      if (outcome === 'complete') listed.setToCurrentTime()
    },
  }
}
