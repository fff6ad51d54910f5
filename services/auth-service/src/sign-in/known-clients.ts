import type { Counted, FailureMemory } from './failure-memory.ts'
import { keyOf } from './failure-memory.ts'
import { delayMs } from './failure-rule.ts'
import { GUESS_RULE, NETWORK_GUESS_RULE } from './sign-in-rules.ts'

/** From where accounts have signed in, and how often others tried to guess what is known of them. */
export interface KnownClients {
  isKnown(username: string, client: string): boolean
  /** Answers whether it is news, which it is once a day. */
  note(username: string, client: string): boolean
  /** Counts a wrong password, also one that was refused unjudged. */
  countGuess(username: string, client: string): void
  /**
   * Whether credentials may pass because they are known, although their account may be limited: always from where the
   * account has signed in, and from elsewhere unless the address is limited itself; not after a thousand wrong guesses.
   */
  mayPass(username: string, client: string, isAddressLimited: boolean): boolean
}

const NEWS_MS = 86_400_000

/** In this process's memory: `maxKnown` pairs of account and address, of which the oldest gives way. */
export function createKnownClients(
  guesses: FailureMemory,
  now: () => number,
  maxKnown: number,
): KnownClients {
  const known = new Map<string, number>()
  const pairOf = (username: string, client: string) => keyOf('known', username, client)
  const isKnown = (username: string, client: string) => known.has(pairOf(username, client))

  /** What a guess is counted for: strangers together, and each address that the account uses by itself. */
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
      const noted = known.get(pair)
      if (noted !== undefined && now() - noted < NEWS_MS) return false
      known.delete(pair)
      known.set(pair, now())
      const [oldest] = known.keys()
      if (known.size > maxKnown && oldest !== undefined) known.delete(oldest)
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
