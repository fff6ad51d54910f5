import type { Account, StoredAccount } from '../principals/account.ts'
import { ownRightsOf } from '../principals/account.ts'
import { normalisePassword } from '../principals/password-policy.ts'
import { clientNetwork } from './client-address.ts'
import type { CredentialCache } from './credential-cache.ts'
import type { SignIn, SignInDependency, SignInMethod, SignInService } from './sign-in.ts'
import { RECENT_MS } from './sign-in.ts'
import type { Attempt, SignInLimits } from './sign-in-limits.ts'

/** Verifies the passwords of some users: local ones, or those of a directory. */
export interface PasswordVerifier {
  /** Whether this verifier decides about a username. `account` is undefined when the username has none. */
  handles(username: string, account: StoredAccount | undefined): boolean
  /**
   * Returns the account if the credentials are valid, or else undefined. Throws an error for which
   * `unavailableDependency` names the unavailable dependency.
   */
  verify(credentials: UserCredentials, account: StoredAccount | undefined): Promise<StoredAccount | undefined>
  /** Whether the credentials of an account were verified a short time ago. Without it they are verified each time. */
  isCached?(credentials: UserCredentials, account: Account): boolean
}

export interface UserCredentials {
  /** In lower case. */
  readonly username: string
  readonly password: string
  /** The client's address or network, for fair queues. */
  readonly client: string
}

/** The entry of the cache for verified credentials. */
export interface CachedUser {
  readonly account: Account & { readonly passwordHash?: string | null }
  /** When the account was read, in milliseconds since the epoch; undefined for a new refresh token. */
  readonly readAt?: number
}

export interface UserSignInPorts {
  /** Undefined when there is no such account. */
  findAccount(username: string): Promise<StoredAccount | undefined>
  /** The account of a live refresh token. Notes that the token was used. */
  findByRefreshToken(token: string, service: string): Promise<StoredAccount | undefined>
  /** The dependency that an error of another port says is unavailable; undefined for a fault. */
  unavailableDependency(error: unknown): SignInDependency | undefined
  /** Verifies the password of a local user; see `PasswordHasher.verify`. */
  verifyPassword(password: string, hash: string | null, client: string): Promise<boolean>
  /** Replaces the hash of another system after the password was verified. Returns the account with the new hash. */
  replaceImportedHash(account: StoredAccount, password: string): Promise<StoredAccount>
  /** Tried before local passwords, in their order. */
  readonly verifiers: readonly PasswordVerifier[]
  /** Whether the last known revocation list revokes this generation of an account. */
  isRevoked(account: Pick<Account, 'id' | 'generation'>): boolean
  /** Whether the revocation list is fresh and does not revoke this generation of an account. */
  isUnchanged(account: Pick<Account, 'id' | 'generation'>): boolean
  /** Credentials that were verified within the last `KNOWN_MS`. */
  readonly cache: CredentialCache<CachedUser>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Time for which cached credentials are enough while the database is unavailable, in milliseconds. */
  readonly offlineMs: number
  readonly limits: SignInLimits<StoredAccount>
}

export type UserSignIn = SignInMethod & Omit<SignInService, 'withPassword'>

const REFUSED: SignIn = { outcome: 'refused' }
/** Time for which cached credentials pass without a new hash and without limits, in milliseconds. */
export const KNOWN_MS = 86_400_000
/** Passwords have at most 1024 bytes in their normal form. Other forms may be a few times as long. */
const [MAX_BYTES, MAX_GIVEN_BYTES] = [1024, 4096]

/**
 * Signs users in with passwords and refresh tokens. While the database is unavailable, credentials that were verified
 * within the last `offlineMs` are accepted, unless the revocation list revokes the account.
 */
export function createUserSignIn(ports: UserSignInPorts): UserSignIn {
  const { cache, limits, offlineMs, now } = ports

  const local: PasswordVerifier = {
    handles: () => true,
    async verify({ password, client }, account) {
      const hash = account?.passwordHash ?? null
      const isRight = await ports.verifyPassword(password, hash, client)
      return isRight && account !== undefined ? ports.replaceImportedHash(account, password) : undefined
    },
  }
  const verifierFor = (username: string, account: StoredAccount | undefined) =>
    ports.verifiers.find((verifier) => verifier.handles(username, account)) ?? local

  const whileDatabaseUnavailable = (secret: readonly string[], attempt?: Attempt): SignIn => {
    const account = cache.recall(secret, offlineMs)?.account
    if (account !== undefined && (attempt === undefined || limits.mayPass(attempt))) {
      return ports.isRevoked(account) ? REFUSED : { outcome: 'account', account, offline: true }
    }
    const retryAfterSeconds = attempt === undefined ? 0 : limits.countUnverified(attempt)
    return retryAfterSeconds > 0
      ? { outcome: 'throttled', retryAfterSeconds }
      : { outcome: 'unavailable', dependency: 'database' }
  }

  /** The account of credentials that were verified within `RECENT_MS`, if the revocation list confirms it. */
  const recallRecent = (secret: readonly string[]): CachedUser['account'] | undefined => {
    const { account, readAt = -Infinity } = cache.recall(secret, RECENT_MS) ?? {}
    return account !== undefined && now() - readAt < RECENT_MS && ports.isUnchanged(account)
      ? account
      : undefined
  }

  /** A sign-in without the database. The limits hold for it as for other cached credentials. */
  const signInRecent = (credentials: UserCredentials): SignIn | undefined => {
    const account = recallRecent(secretOf(credentials))
    if (account === undefined || !limits.mayPass(credentials)) return undefined
    // Only the directory can say whether a password that is not stored here is still right.
    if (account.directory) {
      const verifier = ports.verifiers.find(({ isCached }) => isCached?.(credentials, account))
      if (verifier === undefined) return undefined
    }
    limits.noteSuccess(credentials, account.id)
    return { outcome: 'account', account, offline: false }
  }

  const verify = async (credentials: UserCredentials, account: StoredAccount | undefined) => {
    // A disabled account is verified like one that does not exist, so that its password cannot be guessed.
    if (account !== undefined && !ownRightsOf(account).enabled) return local.verify(credentials, undefined)
    const verified = await verifierFor(credentials.username, account).verify(credentials, account)
    return verified?.enabled ? verified : undefined
  }

  /** Cached credentials need no hash and are not limited. Undefined when they are not cached or not valid any more. */
  const verifyCached = async (credentials: UserCredentials, account: StoredAccount | undefined) => {
    const cached = cache.recall(secretOf(credentials))?.account
    if (cached === undefined || account === undefined || !account.enabled) return undefined
    if (!limits.mayPass(credentials)) return undefined
    if (cached.id !== account.id || cached.passwordHash !== account.passwordHash) return undefined
    if (account.passwordHash !== null) return account
    // The password is not stored here. Only the verifier (the directory) can say whether it is still valid; it may have
    // a cache of its own.
    const verifier = verifierFor(credentials.username, account)
    if (cached.generation !== account.generation || verifier === local) return undefined
    return verify(credentials, account)
  }

  const signIn = async (credentials: UserCredentials): Promise<SignIn> => {
    const secret = secretOf(credentials)
    const entered = await limits.enter(credentials, () => cache.recall(secret) !== undefined)
    if ('outcome' in entered) return entered
    try {
      const readAt = now()
      const account = await ports.findAccount(credentials.username)
      const cached = await verifyCached(credentials, account)
      const result =
        cached === undefined
          ? await limits.verify(credentials, account?.id, {
              id: cache.keyOf(secret),
              verify: () => verify(credentials, account),
            })
          : { result: cached }
      if (!('result' in result)) return result
      cache.remember(secret, { account: result.result, readAt })
      limits.noteSuccess(credentials, result.result.id)
      return { outcome: 'account', account: result.result, offline: false }
    } finally {
      entered.leave()
    }
  }

  return {
    accepts: () => true,

    async signIn(givenUsername, password, address, freshness) {
      const username = givenUsername.toLowerCase()
      if (password === '' || Buffer.byteLength(password) > MAX_GIVEN_BYTES) return REFUSED
      if (Buffer.byteLength(normalisePassword(password)) > MAX_BYTES) return REFUSED
      // No account has such a name. A Postgres text cannot contain NUL, and long names would fill the caches.
      if (username.length > 255 || username.includes('\0')) return REFUSED
      const credentials = { username, password, client: clientNetwork(address) }
      const recent = freshness === 'recent' ? signInRecent(credentials) : undefined
      if (recent !== undefined) return recent
      try {
        return await signIn(credentials)
      } catch (error) {
        const dependency = ports.unavailableDependency(error)
        if (dependency === undefined) throw error
        if (dependency === 'database') return whileDatabaseUnavailable(secretOf(credentials), credentials)
        return { outcome: 'unavailable', dependency }
      }
    },

    rememberRefreshToken: (token, service, account) =>
      cache.remember(refreshSecretOf(token, service), { account }),

    async withRefreshToken(token, service, address) {
      const secret = refreshSecretOf(token, service)
      const recent = recallRecent(secret)
      if (recent !== undefined) return { outcome: 'account', account: recent, offline: false }
      const readAt = now()
      try {
        const account = await ports.findByRefreshToken(token, service)
        if (account === undefined) return await limits.refuseToken(clientNetwork(address))
        cache.remember(secret, { account, readAt })
        return { outcome: 'account', account, offline: false }
      } catch (error) {
        if (ports.unavailableDependency(error) !== 'database') throw error
        return whileDatabaseUnavailable(secret)
      }
    },
  }
}

function secretOf({ username, password }: UserCredentials): readonly string[] {
  return ['password', username, password]
}

function refreshSecretOf(token: string, service: string): readonly string[] {
  return ['refresh-token', token, service]
}
