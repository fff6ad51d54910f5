import type { FailureRule } from './failure-rule.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND

/**
 * Failed sign-ins of one account, from all addresses. containerd and BuildKit send a wrong password twice, so twenty
 * failures are ten mistakes. The delays are then 15, 30, 60 seconds and so on up to 15 minutes: about a hundred guesses
 * a day.
 */
export const ACCOUNT_RULE: FailureRule = {
  free: 20,
  baseMs: 15 * SECOND,
  maxMs: 15 * MINUTE,
  drainMs: 15 * MINUTE,
}

/**
 * Failed sign-ins from one address, of all accounts. Many users may share an address, so the delay does not grow: one
 * attempt every twenty seconds.
 */
export const ADDRESS_RULE: FailureRule = {
  free: 22,
  baseMs: 20 * SECOND,
  maxMs: 20 * SECOND,
  drainMs: 20 * SECOND,
}

/**
 * Cached credentials pass while their account or address is limited, so an attacker could guess at the cache. This rule
 * bounds the wrong passwords of one account: from all addresses that the account has not used, and from each one that
 * the account has used.
 */
export const GUESS_RULE: FailureRule = { free: 1000, baseMs: MINUTE, maxMs: MINUTE, drainMs: MINUTE }
/** Bounds the wrong passwords from one address for all accounts that have signed in from there. */
export const NETWORK_GUESS_RULE: FailureRule = {
  free: 5000,
  baseMs: 20 * SECOND,
  maxMs: 20 * SECOND,
  drainMs: 20 * SECOND,
}
