import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'

export type TrashMetrics = ReturnType<typeof createTrashMetrics>

/** Metrics of the trash. The gauges have the same values in all replicas. */
export function createTrashMetrics(registry: Registry) {
  const registers = [registry]
  const entries = new Gauge({
    name: 'trash_entries',
    help: 'Deleted manifests and repositories that can be restored',
    registers,
  })
  const bytes = new Gauge({
    name: 'trash_bytes',
    help: 'Bytes of the manifests in the trash and of the blobs that they reference, each digest once',
    registers,
  })
  const ended = new Counter({
    name: 'trash_entries_ended_total',
    help: 'Entries of the trash that this process has ended, by reason (restored, purged, expired)',
    labelNames: ['reason'] as const,
    registers,
  })
  return {
    ended: (reason: 'restored' | 'purged' | 'expired', count = 1) => ended.inc({ reason }, count),
    measured(size: { readonly entries: number; readonly bytes: number }): void {
      entries.set(size.entries)
      bytes.set(size.bytes)
    },
  }
}
