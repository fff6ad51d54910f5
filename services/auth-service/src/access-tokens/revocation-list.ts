import type { HealthCheck } from '@registry-manager/http'
import { createPeriodicWork, explainError } from '@registry-manager/http'
import type { Account } from '../principals/account.ts'

export interface RevocationList {
  /** Least valid generations by account id; undefined before the list was first read. */
  current(): ReadonlyMap<string, number> | undefined
  isRevoked(account: Pick<Account, 'id' | 'generation'>): boolean
  readonly check: HealthCheck
  /** Reads the list, then starts to poll it. */
  start(): Promise<void>
  stop(): Promise<void>
}

export interface RevocationListOptions {
  /** Reads the revocations since a time from the database. */
  readonly load: (since: Date) => Promise<Map<string, number>>
  readonly now: () => number
  /** How long an access token from before a revocation may still be valid: the list holds a revocation for so long. */
  readonly windowMs: number
}

const POLL_MS = 1000

/**
 * The recent revocations, polled each second. While the database is unavailable the last list stays in force: nothing
 * can be revoked then.
 */
export function createRevocationList({ load, now, windowMs }: RevocationListOptions): RevocationList {
  let accounts: ReadonlyMap<string, number> | undefined
  let failure: string | undefined

  const poll = async () => {
    try {
      accounts = await load(new Date(now() - windowMs))
      failure = undefined
    } catch (error) {
      failure = explainError(error)
    }
  }
  const polling = createPeriodicWork({ everyMs: POLL_MS, waitFirst: true, work: poll })

  return {
    current: () => accounts,
    isRevoked: ({ id, generation }) => generation < (accounts?.get(id) ?? 0),
    check: async () =>
      failure === undefined ? 'ok' : { degraded: `the revocation list could not be read: ${failure}` },
    start: async () => {
      await poll()
      polling.start()
    },
    stop: polling.stop,
  }
}
