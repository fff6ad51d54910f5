import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import type { ReconcileCounts } from './counts.ts'
import { COUNTS } from './counts.ts'
import type { FailureKind } from './work-item.ts'
import { FAILURE_KINDS } from './work-item.ts'

/** Metrics of reconcile in this process. */
export function createReconcileMetrics(registry: Registry) {
  const registers = [registry]
  const items = new Counter({
    name: 'reconcile_items_total',
    help: 'Items that reconcile has checked, changed or failed to handle, by count name',
    labelNames: ['what'] as const,
    registers,
  })
  const runs = new Counter({
    name: 'reconcile_runs_total',
    help: 'Reconcile runs that ended in this process, by outcome (finished, stopped, failed)',
    labelNames: ['outcome'] as const,
    registers,
  })
  const running = new Gauge({
    name: 'reconcile_running',
    help: 'Whether this process works on a reconcile run (1) or not (0)',
    registers,
  })
  const finished = new Gauge({
    name: 'reconcile_last_finished_timestamp_seconds',
    help: 'Unix time at which this process last finished a reconcile run; 0 if it has finished none',
    registers,
  })
  const failures = new Counter({
    name: 'background_item_failures_total',
    help: 'Failed attempts of single items of background work, by kind; the log names each item',
    labelNames: ['kind'] as const,
    registers,
  })
  const failing = new Gauge({
    name: 'background_items_failing',
    help: 'Items of background work whose last attempt failed, by kind',
    labelNames: ['kind'] as const,
    registers,
  })

  return {
    running,
    failed: (kind: FailureKind) => failures.inc({ kind }),
    setFailing(counts: ReadonlyMap<FailureKind, number>): void {
      for (const kind of FAILURE_KINDS) failing.set({ kind }, counts.get(kind) ?? 0)
    },
    /** Adds the difference between two states of the counts. */
    add(counts: ReconcileCounts, before: ReconcileCounts): void {
      for (const what of COUNTS) items.inc({ what }, counts[what] - before[what])
    },
    ended(outcome: 'finished' | 'stopped' | 'failed'): void {
      runs.inc({ outcome })
      if (outcome === 'finished') finished.setToCurrentTime()
    },
  }
}
