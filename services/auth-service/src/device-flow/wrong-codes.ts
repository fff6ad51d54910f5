import type { Account } from '../principals/account.ts'
import type { SharedFailures } from '../sign-in/attempt-limits.ts'
import { keyOf } from '../sign-in/failure-memory.ts'
import type { FailureRule } from '../sign-in/failure-rule.ts'
import { delayMs } from '../sign-in/failure-rule.ts'

/** Ten wrong codes, then one a minute, for each account: guessing must not find another person's code. */
const RULE: FailureRule = { free: 10, baseMs: 60_000, maxMs: 60_000, drainMs: 60_000 }

/** Counts the wrong user codes that people type, for all replicas together. Source: RFC 8628 §5.1. */
export interface WrongCodes {
  /** Seconds until the account may type another code; 0 for now. */
  retryAfterSeconds(account: Pick<Account, 'id'>): Promise<number>
  add(account: Pick<Account, 'id'>): Promise<void>
}

export function createWrongCodes(failures: SharedFailures, now: () => number): WrongCodes {
  const countedFor = ({ id }: Pick<Account, 'id'>) => ({ key: keyOf('user-code', id), rule: RULE })
  return {
    async retryAfterSeconds(account) {
      const counted = countedFor(account)
      await failures.refresh([counted])
      return Math.ceil(delayMs(failures.find(counted.key), RULE, now()) / 1000)
    },
    add: (account) => failures.add([countedFor(account)]),
  }
}
