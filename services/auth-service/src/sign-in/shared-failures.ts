import { createHmac } from 'node:crypto'
import type { SharedFailures } from './attempt-limits.ts'
import type { Counted, FailureMemory } from './failure-memory.ts'
import type { Failures } from './failure-rule.ts'
import { fullMs } from './failure-rule.ts'

export interface StoredFailures extends Failures {
  readonly key: Buffer
}

/** The bucket of a first failure, and the time in which a full bucket drains. */
export interface AddedFailure extends StoredFailures {
  readonly fullMs: number
}

export interface SharedFailuresPorts {
  find(keys: readonly Buffer[], at: Date): Promise<readonly StoredFailures[]>
  /** Adds a failure to each bucket and returns the buckets. */
  add(failures: readonly AddedFailure[]): Promise<readonly StoredFailures[]>
  /** Whether an error of the methods above says that the database is unavailable. */
  isUnavailable(error: unknown): boolean
  readonly memory: FailureMemory
  /** Shared by the replicas. */
  readonly secret: string
  /** Milliseconds since the epoch. */
  now(): number
}

/**
 * Counts failed sign-ins of all replicas in the database. Only a failure writes, in one statement. While the database
 * is unavailable, each replica counts in memory.
 *
 * Keys contain the usernames that people typed, and some people type a password there: the database gets MACs of the
 * keys.
 */
export function createSharedFailures(ports: SharedFailuresPorts): SharedFailures {
  const { memory, secret, now } = ports
  const macOf = ({ key }: Counted) =>
    createHmac('sha256', secret).update(`sign-in failures of ${key}`).digest()

  /** Merges the rows of a query into memory. */
  const share = async (
    counted: readonly Counted[],
    query: (macs: readonly Buffer[]) => Promise<readonly StoredFailures[]>,
  ) => {
    const keys = new Map(counted.map((one) => [macOf(one).toString('hex'), one.key]))
    try {
      for (const { key: mac, ...failures } of await query(counted.map(macOf))) {
        const key = keys.get(mac.toString('hex'))
        if (key !== undefined) memory.merge(key, failures)
      }
    } catch (error) {
      if (!ports.isUnavailable(error)) throw error
    }
  }

  return {
    find: memory.find,

    refresh: (counted) => share(counted, (macs) => ports.find(macs, new Date(now()))),

    async add(counted) {
      for (const one of counted) memory.add(one)
      const at = now()
      const failures = counted
        .map((one) => ({
          key: macOf(one),
          failedAt: at,
          clearsAt: at + one.rule.drainMs,
          fullMs: fullMs(one.rule),
        }))
        // Statements that lock the same rows in different orders deadlock.
        .toSorted((one, other) => one.key.compare(other.key))
      await share(counted, () => ports.add(failures))
    },
  }
}
