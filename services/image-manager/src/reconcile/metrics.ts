import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import type { FailureKind } from './background-failures.ts'
import { FAILURE_KINDS } from './background-failures.ts'
import type { ReconcileCounts } from './counts.ts'
import { COUNTS } from './counts.ts'

export type ReconcileMetrics = ReturnType<typeof createReconcileMetrics>

/** What reconcile did since the process began. */
export function createReconcileMetrics(registry: Registry) {
  const registers = [registry]
  const items = new Counter({
    name: 'reconcile_items_total',
    help: 'What reconcile looked at and did, by what it was',
    labelNames: ['what'] as const,
    registers,
  })
  const runs = new Counter({
    name: 'reconcile_runs_total',
    help: 'Runs of reconcile that this process ended, by how',
    labelNames: ['outcome'] as const,
    registers,
  })
  const running = new Gauge({ name: 'reconcile_running', help: 'Whether a run is under way here', registers })
  const finished = new Gauge({
    name: 'reconcile_last_finished_timestamp_seconds',
    help: 'When this process last brought a run to its end; 0 when it never did',
    registers,
  })
  const failures = new Counter({
    name: 'background_item_failures_total',
    help: 'Failed tries of single items of background work, by kind; each is named in the log',
    labelNames: ['kind'] as const,
    registers,
  })
  const failing = new Gauge({
    name: 'background_items_failing',
    help: 'Items of background work whose last try failed, by kind',
    labelNames: ['kind'] as const,
    registers,
  })

  return {
    running,
    failed: (kind: FailureKind) => failures.inc({ kind }),
    setFailing(counts: ReadonlyMap<FailureKind, number>): void {
      for (const kind of FAILURE_KINDS) failing.set({ kind }, counts.get(kind) ?? 0)
    },
    /** Adds what was counted since the counts were what they were. */
    add(counts: ReconcileCounts, before: ReconcileCounts): void {
      for (const what of COUNTS) items.inc({ what }, counts[what] - before[what])
    },
    ended(outcome: 'finished' | 'stopped' | 'failed'): void {
      runs.inc({ outcome })
      if (outcome === 'finished') finished.setToCurrentTime()
    },
  }
}
