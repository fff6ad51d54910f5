import { unavailable } from '@registry-manager/http'

export interface AfterDataRemovalPorts {
  /** Whether the database has refused a statement because a worker removes data that the statement names. */
  readonly isBeingRemoved: (error: unknown) => boolean
  readonly pause: (ms: number) => Promise<unknown>
  /** Milliseconds of a clock that never goes back. */
  readonly monotonic: () => number
}

/** Ends before the deadline of registry-proxy's call (`QUERY_TIMEOUT_MS`). */
export const WAIT_MS = 7000
const PAUSE_MS = 100

/**
 * Runs work that stores references to data of the registry. While a storage worker removes this data, the database
 * refuses the work, and this function retries it. After the removal the registry has no data that it could reuse, and
 * stores the upload of the client. Throws a 503 if the removal takes too long, for example because the worker was
 * killed.
 */
export async function afterDataRemoval<Result>(
  { isBeingRemoved, pause, monotonic }: AfterDataRemovalPorts,
  work: () => Promise<Result>,
): Promise<Result> {
  const deadline = monotonic() + WAIT_MS
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isBeingRemoved(error)) throw error
      if (monotonic() >= deadline) {
        const { message } = error as Error
        throw unavailable(message, 10, error)
      }
      await pause(PAUSE_MS)
    }
  }
}
