import type { NewEvent } from '@registry-manager/events'
import type { RegistryClient } from '@registry-manager/registry-client'
import type { ReconcileAllPorts, RunPosition } from './reconcile-all.ts'
import { reconcileAll } from './reconcile-all.ts'
import type { ReconcileCounts } from './counts.ts'
import type { CountedPorts } from './counts.ts'
import { countChanges, countRequests, eventsOfRun, readCounts } from './counts.ts'
import type { PaceOptions } from './pace-requests.ts'
import { createPace } from './pace-requests.ts'
import type { ReconcileRepositoriesPorts } from './reconcile-repositories.ts'
import type { RecoverPorts } from './recover.ts'
import { recover } from './recover.ts'
import type { FailureKind, ItemFailure } from './work-item.ts'

/** A run whose lease this process holds. */
export interface Run extends RunPosition {
  readonly id: string
  readonly startedAt: Date
  readonly counts: ReconcileCounts
}

/** Receives the progress of the work. */
export interface ReconcileListener {
  /** A run was started or resumed. */
  taken(run: Run): void
  /** Called after every saved position, with the same object every time. */
  progress(counts: ReconcileCounts): void
  /** An item failed. It is skipped and retried later. */
  failed(failure: ItemFailure): void
}

type WorkPorts = RecoverPorts &
  ReconcileRepositoriesPorts &
  CountedPorts &
  Pick<ReconcileAllPorts, 'comparison' | 'concurrency' | 'groupSize' | 'isRefusal' | 'now'> & {
    readonly registry: RegistryClient
  }

/** The ports of the work that the reconciler creates for each run. */
type PortsOfRun = 'registry' | 'counts' | 'retriesAll' | 'endsWork' | 'onFailure' | 'checkpoint'

export type ReconcilerPorts = Omit<WorkPorts, PortsOfRun> & {
  readonly runs: {
    take(leaseSeconds: number, dueAfterSeconds: number): Promise<Run | undefined>
    renew(id: string, leaseSeconds: number): Promise<boolean>
    save(id: string, position: RunPosition, counts: ReconcileCounts, leaseSeconds: number): Promise<boolean>
    finish(id: string, counts: ReconcileCounts, keptDays: number, events: readonly NewEvent[]): Promise<void>
    release(id: string): Promise<void>
  }
  readonly failures: {
    countFailures(): Promise<ReadonlyMap<FailureKind, number>>
    deleteOldFailures(keptDays: number): Promise<void>
  }
  /** Creates a client whose requests the signal aborts. Pulls from the named repositories share one token. */
  readonly createRegistry: (signal: AbortSignal, names: readonly string[]) => RegistryClient
  /** Whether an error means that the database or the registry is unavailable. */
  readonly isUnavailable: (error: unknown) => boolean
  readonly isOverload: PaceOptions['isOverload']
  /** Waits for some milliseconds. Rejects when the signal is aborted. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<unknown>
  readonly listener: ReconcileListener
}

export interface RunOptions {
  readonly signal: AbortSignal
  /** A run starts only if none finished within this time. */
  readonly dueAfterSeconds?: number
  /** Whether the registry may have no repository at all although the index has some. */
  readonly believeEmpty?: boolean
  /** Whether failed items are retried before they are due. */
  readonly retriesAll?: boolean
}

export interface Reconciler {
  countFailures(): Promise<ReadonlyMap<FailureKind, number>>
  /** Finishes work that other processes left unfinished, and nothing else. */
  recover(signal: AbortSignal): Promise<ReconcileCounts>
  /**
   * Starts a run or resumes an unfinished one, and finishes it. Undefined if another process holds the lease, or if no
   * run is due. Throws the reason of an aborted signal, and the errors of an unavailable registry or database. The
   * next call resumes from the saved position.
   */
  run(options: RunOptions): Promise<Run | undefined>
}

/** Interval of recovering unfinished work of other processes during a long run, in milliseconds. */
export const RECOVER_MS = 60_000
/** Time for which a run belongs to a process that has stopped renewing its lease, in seconds. */
export const LEASE_SECONDS = 60
const RENEW_MS = (LEASE_SECONDS * 1000) / 4
/** Time for which finished runs are kept, in days. */
const RUN_DAYS = 30
/**
 * Time for which failures are kept after their last try, in days. An item that still fails is tried once a day at
 * least.
 */
const FAILURE_DAYS = 30

/**
 * Reconciles the index with the registry in runs. Sends as many requests to the registry at the same time as it works
 * on groups of repositories, and fewer to an overloaded registry.
 */
export function createReconciler(ports: ReconcilerPorts): Reconciler {
  const { runs, failures, createRegistry, isUnavailable, isOverload, pause, listener, now } = ports

  /** Returns a function that creates ports with counts of their own. All of them share the registry's limit. */
  const startWork = (signal: AbortSignal, retriesAll = false) => {
    const pace = createPace({
      limit: ports.concurrency,
      isOverload: (error) => !signal.aborted && isOverload(error),
      pause: async (ms) => void (await pause(ms, signal)),
    })
    return (counts: ReconcileCounts, names: readonly string[] = []): WorkPorts => ({
      ...ports,
      registry: countRequests(pace(createRegistry(signal, names)), counts),
      counts,
      retriesAll,
      endsWork: (error) => signal.aborted || isUnavailable(error),
      onFailure: (failure) => listener.failed(failure),
      checkpoint: async () => signal.throwIfAborted(),
    })
  }

  const finishRun = async (
    run: Run,
    signal: AbortSignal,
    { believeEmpty = false, retriesAll = false }: Omit<RunOptions, 'signal'>,
  ) => {
    const { id, counts } = run
    const portsWith = startWork(signal, retriesAll)
    const recoverPorts = portsWith(counts)
    await recover(recoverPorts)
    let recoveredAt = now()
    const checkpoint = async () => {
      signal.throwIfAborted()
      if (now() - recoveredAt < RECOVER_MS) return
      recoveredAt = now()
      await recover(recoverPorts)
    }
    const savePosition = async (position: RunPosition) => {
      if (!(await runs.save(id, position, counts, LEASE_SECONDS))) throw takenOver(run)
      listener.progress(counts)
    }
    const portsOfGroup = (groupCounts: ReconcileCounts, names: readonly string[]) => ({
      ...countChanges(portsWith(groupCounts, names), groupCounts),
      checkpoint,
    })
    await reconcileAll(
      { ...recoverPorts, checkpoint, portsOfGroup },
      { runId: id, position: run, savePosition, believeEmpty },
    )
    await runs.finish(id, counts, RUN_DAYS, eventsOfRun(id, counts))
    await failures.deleteOldFailures(FAILURE_DAYS)
    listener.progress(counts)
  }

  return {
    countFailures: () => failures.countFailures(),

    async recover(signal) {
      const counts = readCounts()
      await recover(startWork(signal)(counts))
      return counts
    },

    async run({ signal, dueAfterSeconds = 0, ...options }) {
      const run = await runs.take(LEASE_SECONDS, dueAfterSeconds)
      if (run === undefined) return undefined
      listener.taken(run)
      const lost = new AbortController()
      const stop = AbortSignal.any([signal, lost.signal])
      const renewing = setInterval(async () => {
        // A failed renewal is ignored: if the database is unavailable, the work itself fails.
        const isOwn = await runs.renew(run.id, LEASE_SECONDS).catch(() => true)
        if (!isOwn) lost.abort(takenOver(run))
      }, RENEW_MS)
      try {
        await finishRun(run, stop, options)
        return run
      } catch (error) {
        // The reason of the signal says more than the error of an aborted request.
        stop.throwIfAborted()
        throw error
      } finally {
        clearInterval(renewing)
        await runs.release(run.id).catch(() => {})
      }
    },
  }
}

function takenOver({ id }: Run): Error {
  return new Error(`another process has taken over reconcile run ${id}`)
}
