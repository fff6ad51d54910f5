import type { AttemptLimits, Entered, SharedFailures } from './attempt-limits.ts'
import { createAttemptLimits } from './attempt-limits.ts'
import type { Counted } from './failure-memory.ts'
import { createFailureMemory, keyOf } from './failure-memory.ts'
import type { KnownClients } from './known-clients.ts'
import { createKnownClients } from './known-clients.ts'
import { ACCOUNT_RULE, ADDRESS_RULE } from './sign-in-rules.ts'

/** A sign-in: the username and the client's network. */
export interface Attempt {
  readonly username: string
  /** Made by `clientNetwork`. */
  readonly client: string
}

export type Refusal =
  | { readonly outcome: 'refused' }
  | { readonly outcome: 'throttled'; readonly retryAfterSeconds: number }

export interface SignInLimitsPorts {
  /** Counted by all replicas. */
  readonly failures: SharedFailures
  /** The addresses from which accounts have signed in, shared by all replicas. */
  readonly addresses: {
    note(accountId: string, client: string): void
    isKnown(accountId: string, client: string): Promise<boolean>
  }
  readonly now: () => number
}

/** Limits failed sign-ins. docs/decisions/0017-sign-in-limits.md explains the limits. */
export interface SignInLimits<Result> {
  /**
   * Waits for a place among the attempts of an address, before the database is queried: a flood must not use up its
   * connections. `isKnown` says that the credentials have been cached in the meantime.
   */
  enter(
    attempt: Attempt,
    isKnown: () => boolean,
  ): Promise<Entered | { readonly outcome: 'throttled'; readonly retryAfterSeconds: number }>
  /** Whether cached credentials pass without a limit. */
  mayPass(attempt: Attempt): boolean
  /** Verifies a password when the limits allow it, and counts a wrong one. `accountId`: if there is an account. */
  verify(
    attempt: Attempt,
    accountId: string | undefined,
    credentials: { readonly id: string; verify(): Promise<Result | undefined> },
  ): Promise<{ readonly result: Result } | Refusal>
  /** Counts an attempt that cannot be verified without the database. Returns the seconds for which it is limited. */
  countUnverified(attempt: Attempt): number
  noteSuccess(attempt: Attempt, accountId: string): void
  /** Counts a wrong random secret, such as a refresh token. */
  refuseToken(client: string): Promise<Refusal>
}

const MAX_KEYS = 50_000
const REFUSED: Refusal = { outcome: 'refused' }

export function createSignInLimits<Result>(ports: SignInLimitsPorts): SignInLimits<Result> {
  const { failures, addresses, now } = ports
  const attempts: AttemptLimits<Result> = createAttemptLimits(failures, now)
  const known: KnownClients = createKnownClients(createFailureMemory(now, MAX_KEYS), now, MAX_KEYS)
  // Counted separately: attempts that failed because of an outage must not limit sign-ins after it.
  const unverified = createFailureMemory(now, MAX_KEYS)
  const duringOutage = createAttemptLimits<Result>({ ...failures, find: unverified.find }, now)

  const ofAccount = ({ username }: Attempt): Counted => ({
    key: keyOf('account', username),
    rule: ACCOUNT_RULE,
  })
  const ofAddress = ({ client }: Pick<Attempt, 'client'>): Counted => ({
    key: keyOf('address', client),
    rule: ADDRESS_RULE,
  })
  /** The limit of an account at an address that it has used. Failures at other addresses do not count for it. */
  const ofPair = ({ username, client }: Attempt): Counted => ({
    key: keyOf('account', username, client),
    rule: ACCOUNT_RULE,
  })
  const limitOf = (attempt: Attempt) =>
    known.isKnown(attempt.username, attempt.client) ? ofPair(attempt) : ofAccount(attempt)
  const countsOf = (attempt: Attempt, limit: Counted) => [
    ...new Map([limit, ofAccount(attempt), ofAddress(attempt)].map((one) => [one.key, one])).values(),
  ]

  /** The limit of the account at that address, with the failures that other replicas have counted. */
  const findLimit = async (attempt: Attempt, accountId: string | undefined): Promise<Counted> => {
    const limit = limitOf(attempt)
    await failures.refresh([limit, ofAddress(attempt)])
    if (accountId === undefined || known.isKnown(attempt.username, attempt.client)) return limit
    if (attempts.retryAfterSeconds([limit]) === 0) return limit
    if (!(await addresses.isKnown(accountId, attempt.client))) return limit
    const pair = ofPair(attempt)
    await failures.refresh([pair])
    return pair
  }

  const throttled = ({ username, client }: Attempt, retryAfterSeconds: number) => {
    known.countGuess(username, client)
    return { outcome: 'throttled', retryAfterSeconds } as const
  }

  return {
    async enter(attempt, isKnown) {
      const entered = await attempts.enter([ofAddress(attempt)], isKnown)
      return 'leave' in entered ? entered : throttled(attempt, entered.retryAfterSeconds)
    },
    mayPass: (attempt) =>
      known.mayPass(attempt.username, attempt.client, attempts.retryAfterSeconds([ofAddress(attempt)]) > 0),

    async verify(attempt, accountId, { id, verify }) {
      const limit = await findLimit(attempt, accountId)
      // `enter` admitted the attempt before `findLimit` loaded the failures that other replicas counted for this
      // address: check again.
      const wait = attempts.retryAfterSeconds([ofAddress(attempt)])
      if (wait > 0) return throttled(attempt, wait)
      const attempted = await attempts.run({ id, limits: [limit], counts: countsOf(attempt, limit), verify })
      if (!('result' in attempted)) return throttled(attempt, attempted.retryAfterSeconds)
      if (attempted.result !== undefined) return { result: attempted.result }
      known.countGuess(attempt.username, attempt.client)
      return REFUSED
    },

    countUnverified(attempt) {
      known.countGuess(attempt.username, attempt.client)
      const limits = [ofAccount(attempt), ofAddress(attempt)]
      const wait = Math.max(
        attempts.retryAfterSeconds([limitOf(attempt), ofAddress(attempt)]),
        duringOutage.retryAfterSeconds(limits),
      )
      if (wait === 0) for (const counted of limits) unverified.add(counted)
      return wait
    },

    noteSuccess(attempt, accountId) {
      if (known.note(attempt.username, attempt.client)) addresses.note(accountId, attempt.client)
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
