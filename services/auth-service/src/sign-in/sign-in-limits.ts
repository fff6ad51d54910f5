import type { AttemptLimits, Entered, SharedFailures } from './attempt-limits.ts'
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
  /**
   * A place among the attempts with unknown credentials from an address, before anything is asked of the database: a
   * flood must not have all its connections. `isKnown`: whether the credentials are known by now.
   */
  enter(
    who: Attempting,
    isKnown: () => boolean,
  ): Promise<Entered | { readonly outcome: 'throttled'; readonly retryAfterSeconds: number }>
  /** Whether known credentials pass without being counted or limited. */
  mayPass(who: Attempting): boolean
  /** Judges a password when the limits allow it, and counts it when it is wrong. `accountId`: of the account there is. */
  judge(
    who: Attempting,
    accountId: string | undefined,
    credentials: { readonly id: string; judge(): Promise<Result | undefined> },
  ): Promise<{ readonly result: Result } | Refusal>
  /** Counts an attempt that cannot be verified, as the database is away; answers the seconds for which that is limited. */
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
  const limitOf = (who: Attempting, isKnown = known.isKnown(who.username, who.client)) =>
    isKnown ? ofPair(who) : ofAccount(who)
  const countsOf = (who: Attempting, limit: Counted) => [
    ...new Map([limit, ofAccount(who), ofAddress(who)].map((one) => [one.key, one])).values(),
  ]

  /** What limits the account from there, with what other replicas have counted. */
  const findLimit = async (who: Attempting, accountId: string | undefined): Promise<Counted> => {
    const limit = limitOf(who)
    await failures.refresh([limit, ofAddress(who)])
    if (accountId === undefined || known.isKnown(who.username, who.client)) return limit
    if (attempts.retryAfterSeconds([limit]) === 0) return limit
    if (!(await addresses.isKnown(accountId, who.client))) return limit
    const pair = ofPair(who)
    await failures.refresh([pair])
    return pair
  }

  const throttled = ({ username, client }: Attempting, retryAfterSeconds: number) => {
    known.countGuess(username, client)
    return { outcome: 'throttled', retryAfterSeconds } as const
  }

  return {
    async enter(who, isKnown) {
      const entered = await attempts.enter([ofAddress(who)], isKnown)
      return 'leave' in entered ? entered : throttled(who, entered.retryAfterSeconds)
    },
    mayPass: (who) =>
      known.mayPass(who.username, who.client, attempts.retryAfterSeconds([ofAddress(who)]) > 0),

    async judge(who, accountId, { id, judge }) {
      const limit = await findLimit(who, accountId)
      // The attempt has a place of its address already, but others may have counted more failures of that.
      const wait = attempts.retryAfterSeconds([ofAddress(who)])
      if (wait > 0) return throttled(who, wait)
      const attempted = await attempts.run({ id, limits: [limit], counts: countsOf(who, limit), judge })
      if (!('result' in attempted)) return throttled(who, attempted.retryAfterSeconds)
      if (attempted.result !== undefined) return { result: attempted.result }
      known.countGuess(who.username, who.client)
      return REFUSED
    },

    countUnjudged(who) {
      known.countGuess(who.username, who.client)
      const limits = [ofAccount(who), ofAddress(who)]
      const wait = Math.max(
        attempts.retryAfterSeconds([limitOf(who), ofAddress(who)]),
        whileAway.retryAfterSeconds(limits),
      )
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
