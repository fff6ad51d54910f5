import { namespacesOf } from '@registry-manager/oci'
import type { ApplyRetentionPorts, RetentionCounts } from './apply-retention.ts'
import { applyRetention } from './apply-retention.ts'
import type { ExaminedRepository } from './examination.ts'

/** A run whose lease this process holds. */
export interface RetentionRun {
  readonly id: string
  readonly startedAt: Date
  /** The repository after which the run continues; empty at its beginning. */
  readonly lastName: string
  /** The time at which this process took the lease, by the clock of the database. */
  readonly takenAt: Date
}

/** The progress in a repository since it was last saved. */
export interface RetentionProgress {
  /** The repository, if it is done. */
  readonly lastName: string | undefined
  /** The namespaces that cover it. */
  readonly namespaces: readonly string[]
  readonly counts: RetentionCounts
}

export type RunRetentionPorts = ApplyRetentionPorts & {
  readonly candidates: ApplyRetentionPorts['candidates'] & {
    /** Repositories after a name, in byte order, that rules of any namespace may cover. */
    listGoverned(after: string, limit: number): Promise<readonly ExaminedRepository[]>
  }
  readonly retentionRuns: {
    /** Takes over an unfinished run without a live lease, or starts one if none started within some seconds. */
    take(leaseSeconds: number, dueAfterSeconds: number): Promise<RetentionRun | undefined>
    renew(id: string, leaseSeconds: number): Promise<boolean>
    /**
     * Adds to the counts of namespaces. Saves the position, if the work on a repository is done. False if another
     * process has taken the run over.
     */
    save(id: string, progress: RetentionProgress, leaseSeconds: number): Promise<boolean>
    finish(id: string, keptDays: number): Promise<void>
    release(id: string): Promise<void>
  }
}

export interface RunRetentionOptions {
  readonly signal: AbortSignal
  readonly intervalSeconds: number
  /** A run was started or resumed. */
  readonly onTaken: (run: RetentionRun) => void
  /** Called for each repository, with its counts. */
  readonly onProgress: (counts: RetentionCounts) => void
}

/** Duration of a lease without a renewal, in seconds. Afterwards another process may take the run over. */
export const LEASE_SECONDS = 60
/** Maximum difference of the clock of this process from that of the database, in milliseconds. */
const MAX_SKEW_MS = 300_000
const RENEW_MS = (LEASE_SECONDS * 1000) / 4
/** Time for which finished runs are kept, in days. */
const RUN_DAYS = 30
/** Number of repositories that are read at once. */
const PAGE_SIZE = 100

/**
 * Starts a run or resumes an unfinished one, and finishes it. Returns the run; undefined if another process holds its
 * lease or no run is due. Throws the reason of an aborted signal, and the errors of an unavailable registry or
 * database; the next call, in any process, resumes after the last repository that is done.
 */
export async function runRetention(
  ports: RunRetentionPorts,
  { signal, intervalSeconds, onTaken, onProgress }: RunRetentionOptions,
): Promise<RetentionRun | undefined> {
  const { retentionRuns } = ports
  const run = await retentionRuns.take(LEASE_SECONDS, intervalSeconds)
  if (run === undefined) return undefined
  onTaken(run)
  const lost = new AbortController()
  const stop = AbortSignal.any([signal, lost.signal])
  const renewing = setInterval(async () => {
    // A failed renewal is ignored: if the database is unavailable, the work itself fails.
    const isOwn = await retentionRuns.renew(run.id, LEASE_SECONDS).catch(() => true)
    if (!isOwn) lost.abort(takenOver(run))
  }, RENEW_MS)
  try {
    refuseSkew(run.takenAt.getTime() - ports.now())
    await walk(ports, run, stop, onProgress)
    await retentionRuns.finish(run.id, RUN_DAYS)
    return run
  } catch (error) {
    // The reason of the signal says more than the error of an aborted request.
    stop.throwIfAborted()
    throw error
  } finally {
    clearInterval(renewing)
    await retentionRuns.release(run.id).catch(() => {})
  }
}

async function walk(
  ports: RunRetentionPorts,
  run: RetentionRun,
  signal: AbortSignal,
  onProgress: RunRetentionOptions['onProgress'],
): Promise<void> {
  const { candidates, retentionRuns } = ports
  for (let after = run.lastName; ;) {
    const page = await candidates.listGoverned(after, PAGE_SIZE)
    for (const repository of page) {
      signal.throwIfAborted()
      const { name } = repository
      const counts: RetentionCounts = { tags: 0, manifests: 0, failures: 0 }
      const save = async (lastName?: string) => {
        onProgress(counts)
        const progress = { lastName, namespaces: namespacesOf(name), counts }
        return retentionRuns.save(run.id, progress, LEASE_SECONDS)
      }
      try {
        await applyRetention(ports, repository, counts, signal)
      } catch (error) {
        await save().catch(() => false)
        throw error
      }
      if (!(await save(name))) throw takenOver(run)
      after = name
    }
    if (page.length < PAGE_SIZE) return
  }
}

/** The database stores when tags were pushed and pulled: with a wrong clock, new tags would look old. */
function refuseSkew(skewMs: number): void {
  if (Math.abs(skewMs) <= MAX_SKEW_MS) return
  const seconds = Math.round(skewMs / 1000)
  throw new Error(
    `the clock of this machine is ${seconds} seconds behind that of the database; correct one of them`,
  )
}

function takenOver({ id }: RetentionRun): Error {
  return new Error(`another process has taken over run ${id} of retention`)
}
