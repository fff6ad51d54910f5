import type { BackgroundFailures, Failure, WorkItem } from './background-failures.ts'
import type { ReconcileCounts } from './counts.ts'

/** A failure of one item, to be logged. */
export interface ItemFailure extends WorkItem, Failure {
  readonly error: unknown
}

export interface WorkItemPorts {
  readonly counts: ReconcileCounts
  readonly failures: BackgroundFailures
  /** Whether an error means that nothing else would succeed either: the work is stopped, or a service is unavailable. */
  readonly endsWork: (error: unknown) => boolean
  readonly onFailure: (failure: ItemFailure) => void
}

/**
 * Does one item of background work. Where it fails, that is counted, kept and logged, and answered, so that the others
 * are done. What would fail for every item alike is thrown.
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
    counts.unreadable += 1
    const reason = error instanceof Error ? error.message : String(error)
    onFailure({ ...item, ...(await failures.noteFailure(item, reason)), error })
    return error
  }
}
