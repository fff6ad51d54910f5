import type { FailureRule } from './failure-rule.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND

/**
 * Failed sign-ins of one account, over all addresses. containerd and BuildKit try one wrong password twice, so twenty
 * are ten mistakes. Then 15 seconds, 30, 60, and so on to a quarter of an hour: about a hundred guesses a day.
 */
export const ACCOUNT_RULE: FailureRule = {
  free: 20,
  baseMs: 15 * SECOND,
  maxMs: 15 * MINUTE,
  drainMs: 15 * MINUTE,
}

/**
 * Failed sign-ins from one address, over all accounts. Many people may share it, so the delay does not grow: one more
 * every twenty seconds.
 */
export const ADDRESS_RULE: FailureRule = {
  free: 22,
  baseMs: 20 * SECOND,
  maxMs: 20 * SECOND,
  drainMs: 20 * SECOND,
}

/**
 * Known credentials pass while their account or address is limited, so their cache could be used to guess. These rules
 * bound that: wrong passwords of one account from addresses that it has not signed in from; from one that it has; and
 * from one address for all accounts that have signed in from there.
 */
export const GUESS_RULE: FailureRule = { free: 1000, baseMs: MINUTE, maxMs: MINUTE, drainMs: MINUTE }
export const NETWORK_GUESS_RULE: FailureRule = {
  free: 5000,
  baseMs: 20 * SECOND,
  maxMs: 20 * SECOND,
  drainMs: 20 * SECOND,
}
