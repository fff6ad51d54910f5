import { LRUCache } from 'lru-cache'
import type { Counted, FailureMemory } from './failure-memory.ts'
import { keyOf } from './failure-memory.ts'
import { delayMs } from './failure-rule.ts'
import { GUESS_RULE, NETWORK_GUESS_RULE } from './sign-in-rules.ts'

/** The addresses from which accounts have signed in, and the wrong passwords that could be guesses at cached ones. */
export interface KnownClients {
  isKnown(username: string, client: string): boolean
  /** Records a sign-in. Returns whether it is the first of the pair within a day. */
  note(username: string, client: string): boolean
  /** Counts a wrong password, or one that was refused without verification. */
  countGuess(username: string, client: string): void
  /**
   * Whether cached credentials are accepted although their account is limited. They are accepted from an address that
   * the account has used, and from another address that is not limited itself. After too many wrong guesses they are
   * not accepted.
   */
  mayPass(username: string, client: string, isAddressLimited: boolean): boolean
}

const NOTE_AGAIN_MS = 86_400_000

/** Keeps `maxKnown` pairs of account and address in memory; the oldest pair is dropped. */
export function createKnownClients(
  guesses: FailureMemory,
  now: () => number,
  maxKnown: number,
): KnownClients {
  const known = new LRUCache<string, number>({ max: maxKnown })
  const pairOf = (username: string, client: string) => keyOf('known', username, client)
  const isKnown = (username: string, client: string) => known.has(pairOf(username, client))

  /**
   * The counts that a wrong password raises. An account has one count for each address that it has used, and one for
   * all other addresses together.
   */
  const countedOf = (username: string, client: string): readonly Counted[] =>
    isKnown(username, client)
      ? [
          { key: pairOf(username, client), rule: GUESS_RULE },
          { key: keyOf('known at', client), rule: NETWORK_GUESS_RULE },
        ]
      : [{ key: keyOf('known', username), rule: GUESS_RULE }]

  return {
    isKnown,
    note(username, client) {
      const pair = pairOf(username, client)
      const noted = known.peek(pair)
      if (noted !== undefined && now() - noted < NOTE_AGAIN_MS) return false
      known.set(pair, now())
      return true
    },
    countGuess(username, client) {
      for (const counted of countedOf(username, client)) guesses.add(counted)
    },
    mayPass(username, client, isAddressLimited) {
      if (isAddressLimited && !isKnown(username, client)) return false
      return countedOf(username, client).every(
        ({ key, rule }) => delayMs(guesses.find(key), rule, now()) === 0,
      )
    },
  }
}
