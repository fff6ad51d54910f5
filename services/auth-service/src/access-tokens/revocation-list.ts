import type { HealthCheck } from '@registry-manager/http'
import { createPeriodicWork, explainError } from '@registry-manager/http'
import type { Account } from '../principals/account.ts'
import type { RevokedGenerations } from './revoked-generations.ts'
import { createRevokedGenerations } from './revoked-generations.ts'

type AccountState = Pick<Account, 'id' | 'generation'>

export interface RevocationList {
  /** Undefined before the list was first read. */
  current(): RevokedGenerations | undefined
  isRevoked(account: AccountState): boolean
  /**
   * Whether this generation of an account was certainly valid at some moment of the last `FRESH_MS`: the list was read
   * within that time and does not revoke the generation. False while the list cannot be read, so that callers ask the
   * database.
   */
  isUnchanged(account: AccountState): boolean
  /** Applies a committed revocation of this process at once. */
  note(accountId: string, lowestGeneration: number): void
  readonly check: HealthCheck
  /** Reads the list, then starts to poll it. */
  start(): Promise<void>
  stop(): Promise<void>
}

export interface RevocationListOptions {
  /** Reads the revocations since a time from the database; with a cursor, those committed since that read. */
  readonly load: (
    since: Date,
    cursor?: string,
  ) => Promise<{ readonly generations: ReadonlyMap<string, number>; readonly cursor: string }>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** A monotonic clock, in milliseconds: a wall clock that is set back would prolong the freshness. */
  readonly monotonicNow?: () => number
  /** The longest life of an access token from before a revocation. The list keeps a revocation for this time. */
  readonly windowMs: number
}

const POLL_MS = 1000
/** Caches trust a list whose query started within this time, so a change on another replica takes effect within it. */
export const FRESH_MS = 2000
/**
 * Pause between two reads of the whole list, which drop old revocations. All replicas read it in the same second of a
 * minute, so their ETags stay equal.
 */
const RELOAD_MS = 60_000

/**
 * The recent revocations. Each second, a poll reads those that were committed since the previous poll. Once a minute it
 * reads all of them. While the database is unavailable the last list stays in force: nothing can be revoked then.
 */
export function createRevocationList(options: RevocationListOptions): RevocationList {
  const { load, now, monotonicNow = () => performance.now(), windowMs } = options
  const { generations, raise, replace } = createRevokedGenerations()
  /** Revocations of this process since the running poll started: its snapshot may lack them. */
  const noted = new Map<string, number>()
  let isLoaded = false
  let cursor: string | undefined
  let reloadedAt = -Infinity
  let [startedAt, freshFrom] = [-Infinity, -Infinity]
  let failure: string | undefined

  const poll = async () => {
    startedAt = monotonicNow()
    noted.clear()
    const reloadAt = now() - (now() % RELOAD_MS)
    if (reloadAt !== reloadedAt) cursor = undefined
    try {
      const read = await load(new Date(reloadAt - windowMs), cursor)
      if (cursor === undefined) replace(read.generations)
      for (const added of [read.generations, noted]) added.forEach((generation, id) => raise(id, generation))
      ;[cursor, reloadedAt, freshFrom, isLoaded] = [read.cursor, reloadAt, startedAt, true]
      failure = undefined
    } catch (error) {
      // After an outage everything is read again: the next database may be another one.
      cursor = undefined
      failure = explainError(error)
    }
  }
  const polling = createPeriodicWork({
    // One second from start to start, so that the length of a query does not delay revocations.
    everyMs: () => Math.max(0, POLL_MS - (monotonicNow() - startedAt)),
    waitFirst: true,
    work: poll,
  })

  const isRevoked = ({ id, generation }: AccountState) => generation < (generations.get(id) ?? 0)
  return {
    current: () => (isLoaded ? generations : undefined),
    isRevoked,
    isUnchanged: (account) =>
      failure === undefined && monotonicNow() - freshFrom <= FRESH_MS && !isRevoked(account),
    note(accountId, lowestGeneration) {
      noted.set(accountId, Math.max(lowestGeneration, noted.get(accountId) ?? 0))
      raise(accountId, lowestGeneration)
    },
    check: async () =>
      failure === undefined ? 'ok' : { degraded: `the revocation list could not be read: ${failure}` },
    start: async () => {
      await poll()
      polling.start()
    },
    stop: polling.stop,
  }
}
