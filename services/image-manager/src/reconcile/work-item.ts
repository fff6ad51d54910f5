import type { ReconcileCounts } from './counts.ts'

export const FAILURE_KINDS = ['push', 'deletion', 'repository', 'manifest'] as const
export type FailureKind = (typeof FAILURE_KINDS)[number]

/** One item of background work. */
export interface WorkItem {
  readonly kind: FailureKind
  /** Key of the item among those of its kind. */
  readonly item: string
  readonly repository: string
  /** A tag or a digest; empty if the item is a whole repository. */
  readonly reference: string
}

export interface Failure {
  readonly tries: number
  readonly retryAt: Date
}

/** A failure to be logged. */
export interface ItemFailure extends WorkItem, Failure {
  readonly error: unknown
}

/** The delay after a failure doubles from the first to the longest, in seconds. */
export interface RetryDelays {
  readonly firstSeconds: number
  readonly maxSeconds: number
}

export interface WorkItemPorts {
  readonly counts: ReconcileCounts
  readonly failures: {
    recordFailure(item: WorkItem, reason: string, delays: RetryDelays): Promise<Failure>
  }
  /** Whether an error affects every item alike: the work was stopped, or a dependency is unavailable. */
  readonly endsWork: (error: unknown) => boolean
  readonly onFailure: (failure: ItemFailure) => void
}

const RETRY_DELAYS: RetryDelays = { firstSeconds: 60, maxSeconds: 24 * 3600 }

/**
 * Runs one item of background work. A failure of the item is counted, recorded for a later retry, logged and returned,
 * so that the other items still run. An error that affects every item alike is thrown.
 */
export async function attempt(
  { counts, failures, endsWork, onFailure }: WorkItemPorts,
  item: WorkItem,
  work: () => Promise<unknown>,
): Promise<unknown> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (endsWork(error)) throw error
    counts.failures += 1
    const reason = error instanceof Error ? error.message : String(error)
    onFailure({ ...item, ...(await failures.recordFailure(item, reason, RETRY_DELAYS)), error })
    return error
  }
}
