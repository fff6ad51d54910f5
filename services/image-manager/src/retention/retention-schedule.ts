import type { Metrics, PeriodicWork } from '@registry-manager/http'
import { createPeriodicWork } from '@registry-manager/http'
import type { FastifyBaseLogger } from 'fastify'
import type { RetentionCounts } from './apply-retention.ts'
import { createRetentionMetrics } from './retention-metrics.ts'
import type { RunRetentionPorts } from './run-retention.ts'
import { runRetention } from './run-retention.ts'

export interface RetentionScheduleOptions {
  /** Creates the ports of one turn. When the signal is aborted, every error ends the run. */
  readonly createPorts: (signal: AbortSignal) => Omit<RunRetentionPorts, 'onFailure'>
  /** Seconds from the start of one run to the next. With 0 there are no runs. */
  readonly intervalSeconds: number
  readonly log: Pick<FastifyBaseLogger, 'info' | 'warn'>
  readonly metrics: Metrics
}

/** Interval of checks whether a run is due or was left unfinished by another process, in milliseconds. */
const CHECK_MS = 60_000

/** Runs retention periodically. One of several replicas works on a run. If it stops, another one resumes the run. */
export function createRetentionSchedule({
  createPorts,
  intervalSeconds,
  log,
  metrics: { registry },
}: RetentionScheduleOptions): PeriodicWork {
  const metrics = createRetentionMetrics(registry)
  const onFailure: RunRetentionPorts['onFailure'] = (repository, reference, err) =>
    log.warn(
      { err, repository, reference },
      'retention could not delete this tag or manifest; the next run tries again',
    )
  return createPeriodicWork({
    everyMs: intervalSeconds === 0 ? CHECK_MS : Math.min(CHECK_MS, intervalSeconds * 1000),
    async work(signal) {
      if (intervalSeconds === 0) return
      const counts: RetentionCounts = { tags: 0, manifests: 0, failures: 0 }
      try {
        const run = await runRetention(
          { ...createPorts(signal), onFailure },
          {
            signal,
            intervalSeconds,
            onTaken({ id, lastName }) {
              metrics.running.set(1)
              log.info({ run: id, after: lastName }, 'retention started or resumed')
            },
            onProgress(done) {
              metrics.add(done)
              counts.tags += done.tags
              counts.manifests += done.manifests
              counts.failures += done.failures
            },
          },
        )
        if (run === undefined) return
        metrics.ended('finished')
        log.info({ run: run.id, counts }, 'retention finished')
      } catch (err) {
        metrics.ended(signal.aborted ? 'stopped' : 'failed')
        if (signal.aborted) log.info({ counts }, 'retention stopped; it resumes from the saved position')
        else
          log.warn(
            { err, counts },
            'retention interrupted; it resumes from the saved position within a minute',
          )
      } finally {
        metrics.running.set(0)
      }
    },
  })
}
