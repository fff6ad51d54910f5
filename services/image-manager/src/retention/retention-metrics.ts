import type { Registry } from 'prom-client'
import { Counter, Gauge } from 'prom-client'
import type { RetentionCounts } from './apply-retention.ts'

/** Metrics of retention in this process. */
export function createRetentionMetrics(registry: Registry) {
  const registers = [registry]
  const runs = new Counter({
    name: 'retention_runs_total',
    help: 'Runs of retention that ended in this process, by outcome (finished, stopped, failed)',
    labelNames: ['outcome'] as const,
    registers,
  })
  const deleted = new Counter({
    name: 'retention_deleted_total',
    help: 'Tags and manifests that retention has deleted, by kind',
    labelNames: ['kind'] as const,
    registers,
  })
  const failures = new Counter({
    name: 'retention_failures_total',
    help: 'Tags and manifests that retention could not delete; the log names each, and the next run tries again',
    registers,
  })
  const running = new Gauge({
    name: 'retention_running',
    help: 'Whether this process works on a run of retention (1) or not (0)',
    registers,
  })
  // An alert needs the series from the start: a rate is unknown for one that begins with 1.
  for (const outcome of ['finished', 'stopped', 'failed'] as const) runs.inc({ outcome }, 0)
  return {
    running,
    ended: (outcome: 'finished' | 'stopped' | 'failed') => runs.inc({ outcome }),
    add({ tags, manifests, failures: failed }: RetentionCounts): void {
      deleted.inc({ kind: 'tag' }, tags)
      deleted.inc({ kind: 'manifest' }, manifests)
      failures.inc(failed)
    },
  }
}
