import { setTimeout as sleep } from 'node:timers/promises'

export interface StorageUsagePorts {
  readonly contents: { sumBytes(): Promise<number> }
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface StorageUsage {
  /** Null until the first count has ended. */
  readonly bytes: number | null
  readonly updatedAt: string | null
}

/** Minimum time between two counts, in milliseconds: a count reads all sizes. */
const RECOUNT_MS = 300_000
/** Maximum wait of a request for a count, in milliseconds: auth-service gives up after 5 s. */
const WAIT_MS = 3000

/**
 * Returns the bytes in use, counted at most every five minutes. In a large registry a count takes longer than a request
 * may wait: such a request gets the previous figure. `onError` gets the error of a failed count.
 */
export function createStorageUsage({ contents, now }: StorageUsagePorts) {
  let known: StorageUsage = { bytes: null, updatedAt: null }
  let recountAt = 0
  const count = async (onError: (error: unknown) => void) => {
    try {
      known = { bytes: await contents.sumBytes(), updatedAt: new Date(now()).toISOString() }
    } catch (error) {
      onError(error)
    }
  }
  return async (onError: (error: unknown) => void): Promise<StorageUsage> => {
    if (now() < recountAt) return known
    recountAt = now() + RECOUNT_MS
    await Promise.race([count(onError), sleep(WAIT_MS, undefined, { ref: false })])
    return known
  }
}
