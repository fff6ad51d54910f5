import type { Database } from '@registry-manager/database'
import { isDatabaseUnavailable } from '@registry-manager/database'
import { createBackgroundFailures } from './background-failures.ts'
import { createDeleteRepositories } from '../delete/index.ts'
import { createIndexRepositories } from '../index/index.ts'
import { createPushRepositories } from '../push/index.ts'
import type { Run } from './reconcile-runs.ts'
import { LEASE_SECONDS, createReconciliations } from './reconcile-runs.ts'
import { createReconcileQueries } from './reconcile-queries.ts'
import type { RegistryClient } from '@registry-manager/registry-client'
import { isRegistryRefusal, isRegistryUnavailable } from '@registry-manager/registry-client'
import type { ReconcileCounts } from './counts.ts'
import { countChanges, countRequests, readCounts } from './counts.ts'
import { reconcile } from './reconcile.ts'
import type { RecoverPorts } from './recover.ts'
import { recover } from './recover.ts'
import type { ItemFailure } from './work-item.ts'

/** Hears how the work goes. */
export interface ReconcileListener {
  /** A run was taken up, or begun. */
  taken(run: Run): void
  /** Called often; the same object every time. */
  progress(counts: ReconcileCounts): void
  /** An item failed, was passed over, and is tried again later. */
  failed(failure: ItemFailure): void
}

export interface ReconcilerOptions {
  readonly db: Database
  /** A client whose requests the signal breaks off. */
  readonly createRegistry: (signal: AbortSignal) => RegistryClient
  readonly listener: ReconcileListener
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

export interface RunOptions {
  readonly signal: AbortSignal
  /** Only if no run ended within so many seconds. */
  readonly dueAfterSeconds?: number
  readonly believeEmpty?: boolean
  /** Tries again what failed, although its time has not come. */
  readonly retriesAll?: boolean
}

export type Reconciler = ReturnType<typeof createReconciler>

/** How often, in a long run, pending pushes and broken deletions are seen to, in milliseconds. */
export const SETTLE_MS = 60_000
const RENEW_MS = (LEASE_SECONDS * 1000) / 4

/** Does runs of reconcile, and the short work in between. Never more than one request at a time at the registry. */
export function createReconciler({ db, createRegistry, listener, now = Date.now }: ReconcilerOptions) {
  const reconciliations = createReconciliations(db)
  const index = {
    ...createIndexRepositories(db),
    ...createPushRepositories(db),
    ...createDeleteRepositories(db),
  }
  const queries = createReconcileQueries(db)

  const failures = createBackgroundFailures(db)

  const settlePorts = (counts: ReconcileCounts, signal: AbortSignal, retriesAll = false): RecoverPorts => ({
    registry: countRequests(createRegistry(signal), counts),
    ...index,
    queries,
    counts,
    failures,
    retriesAll,
    isRefusal: isRegistryRefusal,
    endsWork: (error) => signal.aborted || isDatabaseUnavailable(error) || isRegistryUnavailable(error),
    onFailure: (failure) => listener.failed(failure),
    between: async () => signal.throwIfAborted(),
  })

  const work = async (
    run: Run,
    signal: AbortSignal,
    { believeEmpty = false, retriesAll = false }: Omit<RunOptions, 'signal'>,
  ) => {
    const { id, counts } = run
    const recovering = settlePorts(counts, signal, retriesAll)
    await recover(recovering)
    let settledAt = now()
    const between = async () => {
      signal.throwIfAborted()
      if (now() - settledAt < SETTLE_MS) return
      settledAt = now()
      await recover(recovering)
    }
    const save = async (position: Pick<Run, 'step' | 'lastName'>) => {
      if (!(await reconciliations.save(id, position, counts))) throw takenOver()
      listener.progress(counts)
    }
    const walking = { ...countChanges(recovering, counts), between }
    await reconcile(walking, { runId: id, position: run, save, believeEmpty })
    await reconciliations.finish(id, counts)
    await failures.forgetOldFailures()
    listener.progress(counts)
  }

  return {
    countFailures: failures.countFailures,

    /** Settles what others left in the middle, and nothing else. */
    async recover(signal: AbortSignal): Promise<ReconcileCounts> {
      const counts = readCounts()
      await recover(settlePorts(counts, signal))
      return counts
    },

    /**
     * Takes up the run that somebody left, or begins one, and brings it to its end. Undefined when another process is
     * at it, or none is due. Throws the signal's reason when it is told to stop, and what the registry or the
     * database throw when they are away: the next call goes on there.
     */
    async run({ signal, dueAfterSeconds, ...options }: RunOptions): Promise<Run | undefined> {
      const run = await reconciliations.take(dueAfterSeconds)
      if (run === undefined) return undefined
      listener.taken(run)
      const lost = new AbortController()
      const stop = AbortSignal.any([signal, lost.signal])
      const renewing = setInterval(async () => {
        // A database that is away is noticed by the work itself.
        const isOurs = await reconciliations.renew(run.id).catch(() => true)
        if (!isOurs) lost.abort(takenOver())
      }, RENEW_MS)
      try {
        await work(run, stop, options)
        return run
      } catch (error) {
        // A request that was broken off says no more than that.
        stop.throwIfAborted()
        throw error
      } finally {
        clearInterval(renewing)
        await reconciliations.release(run.id).catch(() => {})
      }
    },
  }
}

function takenOver(): Error {
  return new Error('another process took the run over')
}
