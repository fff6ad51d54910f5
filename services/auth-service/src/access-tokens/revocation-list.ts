import { explainError } from '@registry-manager/http'
import type { HealthCheck } from '@registry-manager/http'
import type { Account } from '../accounts/account.ts'

export interface RevocationSnapshot {
  /** Least living generations by account id; undefined before the first time that they were had. */
  current(): ReadonlyMap<string, number> | undefined
  isRevoked(account: Pick<Account, 'id' | 'generation'>): boolean
  readonly check: HealthCheck
  start(): Promise<void>
  stop(): void
}

export interface RevocationSnapshotOptions {
  readonly load: (since: Date) => Promise<Map<string, number>>
  readonly now: () => number
  /** How long what was issued before a revocation could still be used: so long it is told. */
  readonly windowMs: number
}

const REFRESH_MS = 1000

/**
 * The revocations of the last while, read each second. While the database is away the last ones hold: nothing
 * can be revoked then.
 */
export function createRevocationSnapshot({
  load,
  now,
  windowMs,
}: RevocationSnapshotOptions): RevocationSnapshot {
  let accounts: ReadonlyMap<string, number> | undefined
  let failure: string | undefined
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  const refresh = async () => {
    try {
      accounts = await load(new Date(now() - windowMs))
      failure = undefined
    } catch (error) {
      failure = explainError(error)
    }
    if (!stopped) timer = setTimeout(refresh, REFRESH_MS)
  }

  return {
    current: () => accounts,
    isRevoked: ({ id, generation }) => generation < (accounts?.get(id) ?? 0),
    check: async () => (failure === undefined ? 'ok' : { degraded: `the database is away: ${failure}` }),
    start: refresh,
    stop: () => {
      stopped = true
      clearTimeout(timer)
    },
  }
}
