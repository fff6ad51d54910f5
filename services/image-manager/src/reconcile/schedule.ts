import { setTimeout as sleep } from 'node:timers/promises'
import type { Metrics } from '@registry-manager/http'
import type { FastifyBaseLogger } from 'fastify'
import type { ReconcileCounts } from './counts.ts'
import { describeCounts, readCounts } from './counts.ts'
import { createReconcileMetrics } from './metrics.ts'
import type { ReconcileListener, ReconcilerOptions } from './reconciler.ts'
import { SETTLE_MS, createReconciler } from './reconciler.ts'

export interface ReconcileScheduleOptions extends Omit<ReconcilerOptions, 'listener'> {
  /** Seconds between two runs; 0 for none. What others left in the middle is settled all the same. */
  readonly intervalSeconds: number
  readonly log: Pick<FastifyBaseLogger, 'info' | 'warn'>
  readonly metrics: Metrics
}

/** How often a long run tells in the log how far it is, in milliseconds. */
const TELL_MS = 10_000

/**
 * Reconciles now and then, for as long as the service runs: first at its start, if none ended within the interval.
 * Each minute pending pushes and broken deletions are settled. What fails is tried again within a minute.
 */
export function createReconcileSchedule(options: ReconcileScheduleOptions) {
  const {
    intervalSeconds,
    log,
    metrics: { registry },
    now = Date.now,
    ...rest
  } = options
  const metrics = createReconcileMetrics(registry)
  const tickMs = intervalSeconds === 0 ? SETTLE_MS : Math.min(SETTLE_MS, intervalSeconds * 1000)
  const stopping = new AbortController()
  const { signal } = stopping
  let loop: Promise<void> | undefined

  let before = readCounts()
  let toldAt = now()
  const listener: ReconcileListener = {
    taken({ counts, startedAt }) {
      before = { ...counts }
      toldAt = now()
      metrics.running.set(1)
      log.info({ startedAt }, 'reconcile: begins, or goes on')
    },
    progress(counts) {
      metrics.add(counts, before)
      before = { ...counts }
      if (now() - toldAt < TELL_MS) return
      toldAt = now()
      log.info({ counts }, 'reconcile: goes on')
    },
    failed({ error, ...failure }) {
      metrics.failed(failure.kind)
      log.warn({ ...failure, err: error }, 'background work: an item failed and will be retried')
    },
  }
  const reconciler = createReconciler({ ...rest, now, listener })

  const recover = async () => {
    const counts = await reconciler.recover(signal)
    metrics.add(counts, readCounts())
    if (isWorthTelling(counts)) log.info({ counts }, 'reconcile: settled what was left in the middle')
  }
  const reconcile = async (): Promise<boolean> => {
    try {
      const run = await reconciler.run({ signal, dueAfterSeconds: intervalSeconds })
      if (run === undefined) return false
      metrics.ended('finished')
      log.info({ counts: run.counts }, `reconcile: finished: ${describeCounts(run.counts)}`)
      return true
    } catch (error) {
      metrics.ended(signal.aborted ? 'stopped' : 'failed')
      throw error
    } finally {
      metrics.running.set(0)
    }
  }
  const tick = async () => {
    try {
      if (intervalSeconds === 0 || !(await reconcile())) await recover()
    } catch (err) {
      if (signal.aborted) log.info('reconcile: stopped; the next run goes on there')
      else log.warn({ err }, 'reconcile: interrupted; it is retried within a minute, and goes on there')
    }
    // Known to the log already where the database is unavailable.
    await reconciler.countFailures().then(metrics.setFailing, () => undefined)
  }

  return {
    start(): void {
      loop = (async () => {
        while (!signal.aborted) {
          await tick()
          await sleep(tickMs, undefined, { signal, ref: false }).catch(() => {})
        }
      })()
    },
    async stop(): Promise<void> {
      stopping.abort(new Error('the service stops'))
      await loop
    },
  }
}

function isWorthTelling({ admissionsSettled, deletionsFinished }: ReconcileCounts): boolean {
  return admissionsSettled + deletionsFinished > 0
}
