import type { Account } from '../principals/account.ts'
import { hashSecret } from '../principals/secret-hash.ts'
import type { OidcProvider } from './config.ts'
import type { AccountDecision } from './decide-account.ts'
import { decideAccount } from './decide-account.ts'
import type { Attempt, Provider } from './provider.ts'
import { InvalidResponse, ProviderUnavailable } from './provider.ts'
import type { ClaimFault, Person } from './read-claims.ts'
import { readClaims } from './read-claims.ts'

/** A sign-in that has begun, as it is stored. */
export interface StoredAttempt extends Pick<Attempt, 'nonce' | 'codeVerifier'> {
  readonly stateHash: Buffer
  /** SHA-256 of the secret in the browser's cookie: no other browser can finish the sign-in. */
  readonly browserHash: Buffer
  readonly provider: string
  /** A path of ours. */
  readonly returnTo: string | undefined
  readonly expiresAt: Date
}

export interface ProviderSignInPorts {
  insertAttempt(attempt: StoredAttempt): Promise<void>
  /**
   * Deletes the attempt and returns it, so that a state works once. Undefined unless state, browser and provider match.
   */
  takeAttempt(
    wanted: Pick<StoredAttempt, 'stateHash' | 'browserHash' | 'provider'>,
    now: Date,
  ): Promise<Pick<StoredAttempt, 'nonce' | 'codeVerifier' | 'returnTo'> | undefined>
  /** The id of the account to which a person is linked. */
  findLinked(issuer: string, subject: string): Promise<string | undefined>
  isLinked(accountId: string): Promise<boolean>
  /** False if the person or the account has been linked since. */
  link(issuer: string, subject: string, accountId: string): Promise<boolean>
  findAccount(ref: string | Pick<Account, 'id'>): Promise<Account | undefined>
  /** Creates a user of a provider without rights. Does nothing if the username is taken. */
  createAccount(username: string, provider: string): Promise<void>
  /** Saves the groups that a provider lists for an account. May raise the account's generation. */
  saveGroups(account: Account, provider: string, groups: readonly string[]): Promise<unknown>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly randomBytes: (size: number) => Buffer
}

export type SignInRefusal =
  /** The state is unknown, used or expired, or another browser began the sign-in. */
  | { readonly reason: 'unknown-attempt' }
  | { readonly reason: 'invalid-response'; readonly cause: InvalidResponse }
  | { readonly reason: 'claim'; readonly fault: ClaimFault }
  | { readonly reason: Extract<AccountDecision, { outcome: 'refused' }>['reason']; readonly username: string }

export type ProviderSignInResult =
  | {
      readonly outcome: 'signed-in'
      readonly account: Account
      /** The session at the provider. */
      readonly session: string | undefined
      readonly returnTo: string | undefined
    }
  | ({ readonly outcome: 'refused'; readonly returnTo?: string | undefined } & SignInRefusal)
  | {
      readonly outcome: 'unavailable'
      readonly cause: ProviderUnavailable
      readonly returnTo?: string | undefined
    }

export interface ProviderSignIn {
  /** Begins a sign-in in the browser that has a secret. Returns the URL that the browser is sent to. */
  begin(browserSecret: string, returnTo: string | undefined): Promise<{ readonly url: string } | Unavailable>
  /** Ends a sign-in: `callback` is the URL of ours that the provider has sent the browser to. */
  finish(browserSecret: string | undefined, callback: URL): Promise<ProviderSignInResult>
}

type Unavailable = { readonly unavailable: ProviderUnavailable }

/** Long enough for a person to enter a password and a second factor. */
export const ATTEMPT_SECONDS = 600
/** 256 bits. */
const SECRET_BYTES = 32

/** The sign-in of people at one provider. */
export function createProviderSignIn(
  provider: Provider,
  config: OidcProvider,
  ports: ProviderSignInPorts,
): ProviderSignIn {
  const { now, randomBytes } = ports
  const newSecret = () => randomBytes(SECRET_BYTES).toString('base64url')

  const decide = async (person: Person) => {
    const linkedId = await ports.findLinked(provider.issuer, person.subject)
    const linked = linkedId === undefined ? undefined : await ports.findAccount({ id: linkedId })
    const named = linked === undefined ? await ports.findAccount(person.username) : undefined
    const isNamedLinked = named !== undefined && (await ports.isLinked(named.id))
    return decideAccount({ provider: config, person, linked, named, isNamedLinked })
  }

  /** The account of a person, which is created or linked if needed. */
  const accountOf = async (person: Person): Promise<Exclude<AccountDecision, { outcome: 'create' }>> => {
    const first = await decide(person)
    // A concurrent sign-in of the same person may create the account: the second decision sees it.
    if (first.outcome === 'create') await ports.createAccount(person.username, config.id)
    const decision = first.outcome === 'create' ? await decide(person) : first
    if (decision.outcome === 'create') return { outcome: 'refused', reason: 'no-account' }
    if (decision.outcome === 'refused' || !decision.link) return decision
    if (await ports.link(provider.issuer, person.subject, decision.account.id)) return decision
    const again = await decide(person)
    return again.outcome === 'account' && !again.link
      ? again
      : { outcome: 'refused', reason: 'other-account' }
  }

  const signIn = async (callback: URL, attempt: Attempt): Promise<ProviderSignInResult> => {
    const person = readClaims(await provider.claimsOf(callback, attempt), config)
    if ('claim' in person) return { outcome: 'refused', reason: 'claim', fault: person }
    const decision = await accountOf(person)
    if (decision.outcome === 'refused') return { ...decision, username: person.username }
    const { id } = decision.account
    if (person.groups !== undefined) await ports.saveGroups(decision.account, config.id, person.groups)
    // Read again: other groups raise the generation, which the session must have.
    const account = await ports.findAccount({ id })
    if (account?.enabled !== true)
      return { outcome: 'refused', reason: 'disabled', username: person.username }
    return { outcome: 'signed-in', account, session: person.session, returnTo: undefined }
  }

  return {
    async begin(browserSecret, returnTo) {
      const attempt = { state: newSecret(), nonce: newSecret(), codeVerifier: newSecret() }
      try {
        const url = await provider.authorizationUrl(attempt)
        await ports.insertAttempt({
          ...attempt,
          stateHash: hashSecret(attempt.state),
          browserHash: hashSecret(browserSecret),
          provider: config.id,
          returnTo,
          expiresAt: new Date(now() + ATTEMPT_SECONDS * 1000),
        })
        return { url }
      } catch (error) {
        if (error instanceof ProviderUnavailable) return { unavailable: error }
        // The provider's metadata are invalid. Only the provider can correct them.
        if (!(error instanceof InvalidResponse)) throw error
        return { unavailable: new ProviderUnavailable(error.message, { cause: error }) }
      }
    },

    async finish(browserSecret, callback) {
      const state = callback.searchParams.get('state')
      if (state === null || browserSecret === undefined)
        return { outcome: 'refused', reason: 'unknown-attempt' }
      const wanted = {
        stateHash: hashSecret(state),
        browserHash: hashSecret(browserSecret),
        provider: config.id,
      }
      const stored = await ports.takeAttempt(wanted, new Date(now()))
      if (stored === undefined) return { outcome: 'refused', reason: 'unknown-attempt' }
      const { returnTo } = stored
      try {
        return { ...(await signIn(callback, { ...stored, state })), returnTo }
      } catch (error) {
        if (error instanceof InvalidResponse) {
          return { outcome: 'refused', reason: 'invalid-response', cause: error, returnTo }
        }
        if (error instanceof ProviderUnavailable) return { outcome: 'unavailable', cause: error, returnTo }
        throw error
      }
    },
  }
}
