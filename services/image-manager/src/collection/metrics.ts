import { Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import type { StoredStatus } from './status.ts'

/** Metrics of the collection. Every replica reports the same numbers, those of the database. */
export function createCollectionMetrics(registry: Registry) {
  const registers = [registry]
  const blobs = new Gauge({
    name: 'collection_blobs',
    help: 'Blobs that nothing references any more, by state (waiting, condemned, removing)',
    labelNames: ['state'] as const,
    registers,
  })
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers })
  const removed = gauge('collection_removed_blobs', 'Blobs whose data was removed since the installation')
  const bytes = gauge('collection_removed_bytes', 'Bytes that were removed since the installation')
  const failed = gauge('collection_failed_removals', 'Removals that failed since the installation')
  const oldest = gauge(
    'collection_oldest_condemned_timestamp_seconds',
    'Unix time at which the last reference to the oldest condemned blob was deleted; 0 if there is none',
  )
  const unknown = gauge(
    'collection_unknown_bytes',
    'Bytes of unknown blobs at the last listing of the storage',
  )

  return {
    set(status: StoredStatus): void {
      for (const state of ['waiting', 'condemned', 'removing'] as const) blobs.set({ state }, status[state])
      removed.set(status.removed.blobs)
      bytes.set(status.removed.bytes)
      failed.set(status.removed.failures)
      oldest.set((status.oldestCondemned?.getTime() ?? 0) / 1000)
      unknown.set(status.listing?.unknown.bytes ?? 0)
    },
  }
}
