import type { AttemptLimits, SharedFailures } from './attempt-limits.ts'
import { createAttemptLimits } from './attempt-limits.ts'
import type { Counted } from './failure-memory.ts'
import { createFailureMemory, keyOf } from './failure-memory.ts'
import type { KnownClients } from './known-clients.ts'
import { createKnownClients } from './known-clients.ts'
import { ACCOUNT_RULE, ADDRESS_RULE } from './sign-in-rules.ts'

/** Who tries to sign in, and from where. */
export interface Attempting {
  readonly username: string
  /** As `clientNetwork` names it. */
  readonly client: string
}

export type Refusal =
  | { readonly outcome: 'refused' }
  | { readonly outcome: 'throttled'; readonly retryAfterSeconds: number }

export interface SignInLimitsPorts {
  /** Counted by all replicas together. */
  readonly failures: SharedFailures
  /** Remembers for all replicas from where accounts have signed in. */
  readonly addresses: {
    note(accountId: string, client: string): void
    isKnown(accountId: string, client: string): Promise<boolean>
  }
  readonly now: () => number
}

/** How failed sign-ins are limited. docs/decisions/0017-sign-in-limits.md says why so. */
export interface SignInLimits<Result> {
  /** Seconds for which unknown credentials are refused unjudged, as far as this process knows; counts the attempt. */
  refuseUnknown(who: Attempting): number
  /** Whether known credentials pass without being counted or limited. */
  mayPass(who: Attempting): boolean
  /** Judges a password when the limits allow it, and counts it when it is wrong. `accountId`: of the account there is. */
  judge(
    who: Attempting,
    accountId: string | undefined,
    credentials: { readonly id: string; judge(): Promise<Result | undefined> },
  ): Promise<{ readonly result: Result } | Refusal>
  /** Counts an attempt that cannot be judged, as the database is away; answers the seconds for which that is limited. */
  countUnjudged(who: Attempting): number
  noteSuccess(who: Attempting, accountId: string): void
  /** Counts credentials of a kind that is not guessed, such as a refresh token, which were wrong. */
  refuseToken(client: string): Promise<Refusal>
}

const MAX_KEYS = 50_000
const REFUSED: Refusal = { outcome: 'refused' }

export function createSignInLimits<Result>(ports: SignInLimitsPorts): SignInLimits<Result> {
  const { failures, addresses, now } = ports
  const attempts: AttemptLimits<Result> = createAttemptLimits(failures, now)
  const known: KnownClients = createKnownClients(createFailureMemory(now, MAX_KEYS), now, MAX_KEYS)
  // Apart from the others: clients that ask in vain during an outage are not to be limited after it.
  const unjudged = createFailureMemory(now, MAX_KEYS)
  const whileAway = createAttemptLimits<Result>({ ...failures, find: unjudged.find }, now)

  const ofAccount = ({ username }: Attempting): Counted => ({
    key: keyOf('account', username),
    rule: ACCOUNT_RULE,
  })
  const ofAddress = ({ client }: Pick<Attempting, 'client'>): Counted => ({
    key: keyOf('address', client),
    rule: ADDRESS_RULE,
  })
  /** An account at an address from which it has signed in. What happens elsewhere does not limit it. */
  const ofPair = ({ username, client }: Attempting): Counted => ({
    key: keyOf('account', username, client),
    rule: ACCOUNT_RULE,
  })
  const limitsOf = (who: Attempting, isKnown = known.isKnown(who.username, who.client)) =>
    isKnown ? [ofPair(who), ofAddress(who)] : [ofAccount(who), ofAddress(who)]
  const countsOf = (who: Attempting, limits: readonly Counted[]) => [
    ...new Map([...limits, ofAccount(who), ofAddress(who)].map((one) => [one.key, one])).values(),
  ]

  const findLimits = async (who: Attempting, accountId: string | undefined): Promise<readonly Counted[]> => {
    const limits = limitsOf(who)
    await failures.refresh(limits)
    if (accountId === undefined || known.isKnown(who.username, who.client)) return limits
    if (attempts.retryAfterSeconds([ofAccount(who)]) === 0) return limits
    return limitsOf(who, await addresses.isKnown(accountId, who.client))
  }

  return {
    refuseUnknown(who) {
      const seconds = attempts.retryAfterSeconds([ofAddress(who)])
      if (seconds > 0) known.countGuess(who.username, who.client)
      return seconds
    },
    mayPass: (who) =>
      known.mayPass(who.username, who.client, attempts.retryAfterSeconds([ofAddress(who)]) > 0),

    async judge(who, accountId, { id, judge }) {
      const limits = await findLimits(who, accountId)
      const attempt = { id, limits, counts: countsOf(who, limits), judge }
      const attempted = await attempts.run(attempt)
      if (!('result' in attempted)) {
        known.countGuess(who.username, who.client)
        return { outcome: 'throttled', ...attempted }
      }
      if (attempted.result !== undefined) return { result: attempted.result }
      known.countGuess(who.username, who.client)
      return REFUSED
    },

    countUnjudged(who) {
      known.countGuess(who.username, who.client)
      const limits = [ofAccount(who), ofAddress(who)]
      const wait = Math.max(attempts.retryAfterSeconds(limitsOf(who)), whileAway.retryAfterSeconds(limits))
      if (wait === 0) for (const counted of limits) unjudged.add(counted)
      return wait
    },

    noteSuccess(who, accountId) {
      if (known.note(who.username, who.client)) addresses.note(accountId, who.client)
    },

    async refuseToken(client) {
      const limits = [{ key: keyOf('tokens', client), rule: ADDRESS_RULE }]
      await failures.refresh(limits)
      const retryAfterSeconds = attempts.retryAfterSeconds(limits)
      if (retryAfterSeconds > 0) return { outcome: 'throttled', retryAfterSeconds }
      await failures.add(limits)
      return REFUSED
    },
  }
}
