import type { Metrics, PeriodicWork } from '@registry-manager/http'
import { createPeriodicWork } from '@registry-manager/http'
import type { FastifyBaseLogger } from 'fastify'
import type { ReconcileCounts } from './counts.ts'
import { describeCounts, readCounts } from './counts.ts'
import { createReconcileMetrics } from './metrics.ts'
import type { ReconcileListener, Reconciler } from './run.ts'
import { RECOVER_MS } from './run.ts'

export interface ScheduleOptions {
  /** Seconds between two runs. With 0 there are no runs; unfinished work is recovered nevertheless. */
  readonly intervalSeconds: number
  readonly log: Pick<FastifyBaseLogger, 'info' | 'warn'>
  readonly metrics: Metrics
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Interval of logging the progress of a long run, in milliseconds. */
const PROGRESS_MS = 10_000

/**
 * Reconciles periodically while the service runs. The first run begins at the start, unless one finished within the
 * interval. Unfinished pushes and deletions are recovered every minute. An interrupted run resumes within a minute.
 */
export function createSchedule(
  createReconciler: (listener: ReconcileListener) => Reconciler,
  { intervalSeconds, log, metrics: { registry }, now }: ScheduleOptions,
): PeriodicWork {
  const metrics = createReconcileMetrics(registry)
  let counted = readCounts()
  let loggedAt = now()
  const reconciler = createReconciler({
    taken({ id, counts, startedAt }) {
      counted = { ...counts }
      loggedAt = now()
      metrics.running.set(1)
      log.info({ run: id, startedAt }, 'reconcile started or resumed')
    },
    progress(counts) {
      metrics.add(counts, counted)
      counted = { ...counts }
      if (now() - loggedAt < PROGRESS_MS) return
      loggedAt = now()
      log.info({ counts }, 'reconcile in progress')
    },
    failed({ error, ...failure }) {
      metrics.failed(failure.kind)
      log.warn({ ...failure, err: error }, 'an item of background work failed; it will be retried')
    },
  })

  const recover = async (signal: AbortSignal) => {
    const counts = await reconciler.recover(signal)
    metrics.add(counts, readCounts())
    if (hasRecovered(counts)) log.info({ counts }, 'unfinished pushes and deletions recovered')
  }
  /** Returns whether there was a run to finish. */
  const run = async (signal: AbortSignal): Promise<boolean> => {
    try {
      const finished = await reconciler.run({ signal, dueAfterSeconds: intervalSeconds })
      if (finished === undefined) return false
      metrics.ended('finished')
      const { id, counts } = finished
      log.info({ run: id, counts }, `reconcile finished: ${describeCounts(counts)}`)
      return true
    } catch (error) {
      metrics.ended(signal.aborted ? 'stopped' : 'failed')
      throw error
    } finally {
      metrics.running.set(0)
    }
  }

  return createPeriodicWork({
    everyMs: intervalSeconds === 0 ? RECOVER_MS : Math.min(RECOVER_MS, intervalSeconds * 1000),
    async work(signal) {
      try {
        if (intervalSeconds === 0 || !(await run(signal))) await recover(signal)
      } catch (err) {
        if (signal.aborted) log.info('reconcile stopped; the next run resumes from the saved position')
        else log.warn({ err }, 'reconcile interrupted; resumes from the saved position within a minute')
      }
      // An unavailable database is in the log already.
      await reconciler.countFailures().then(metrics.setFailing, () => undefined)
    },
  })
}

function hasRecovered({ pushesRecovered, deletionsFinished }: ReconcileCounts): boolean {
  return pushesRecovered + deletionsFinished > 0
}
