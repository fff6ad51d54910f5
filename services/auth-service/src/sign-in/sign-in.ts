import type { Account, StoredAccount } from '../accounts/account.ts'
import type { RegistryToken } from '../registry-tokens/registry-token.ts'
import { DirectoryUnavailable } from '../directory/directory.ts'
import type { DirectorySignIn } from '../directory/directory-sign-in.ts'
import { ownPowersOf } from '../directory/directory-state.ts'
import { clientNetwork } from './client-address.ts'
import { normalisePassword } from '../accounts/password-form.ts'
import type { Attempting, SignInLimits } from './sign-in-limits.ts'
import type { CredentialCache } from './credential-cache.ts'

export type SignIn =
  /** `offline`: the database is away, and the account is as it was when it last signed in. */
  | { readonly outcome: 'account'; readonly account: Account; readonly offline: boolean }
  /** `notAfter`: when the token or its password ends, in seconds since the epoch; `offline` as above. */
  | {
      readonly outcome: 'token'
      readonly token: RegistryToken
      readonly notAfter: number | undefined
      readonly offline: boolean
    }
  | { readonly outcome: 'refused' }
  | { readonly outcome: 'throttled'; readonly retryAfterSeconds: number }
  | { readonly outcome: 'unavailable'; readonly dependency: 'database' | 'directory' }

export interface SignInPorts {
  /** Undefined when there is no such account; throws what `isUnavailable` knows while the database is away. */
  findAccount(username: string): Promise<StoredAccount | undefined>
  /** Finds the live refresh token's account and notes that it was used. */
  findByRefreshToken(token: string, service: string): Promise<StoredAccount | undefined>
  isUnavailable(error: unknown): boolean
  /** Takes as long without a hash. Clients wait in turn. */
  verifyPassword(password: string, hash: string | null, client: string): Promise<boolean>
  /** Where a directory is configured. */
  readonly directory?: DirectorySignIn
  /** Whether the last known revocations end this generation of an account. */
  isRevoked(account: Pick<Account, 'id' | 'generation'>): boolean
  /** Credentials that were good, for `KNOWN_MS`. */
  readonly memory: CredentialCache<Account & { readonly passwordHash?: string | null }>
  /** How long they are enough while the database is away. */
  readonly offlineMs: number
  readonly limits: SignInLimits<StoredAccount>
}

export interface SignInService {
  withPassword(username: string, password: string, address: string): Promise<SignIn>
  withRefreshToken(token: string, service: string, address: string): Promise<SignIn>
  /** Remembers a refresh token that was made just now: it is as good as one that was shown. */
  rememberRefreshToken(token: string, service: string, account: Account): void
}

const REFUSED: SignIn = { outcome: 'refused' }
const refreshSecret = (token: string, service: string) => ['refresh-token', token, service]
const AWAY: SignIn = { outcome: 'unavailable', dependency: 'database' }

/** How long credentials that were good count as known, and are not hashed again. */
export const KNOWN_MS = 86_400_000
/** A password is at most 1024 bytes long in its normal form; in another one it may be a few times as long. */
const [MAX_BYTES, MAX_GIVEN_BYTES] = [1024, 4096]

/**
 * Finds out who holds some credentials. While the database is away, those that were good within `offlineMs` still are,
 * unless their account is known to be revoked.
 */
export function createSignIn(ports: SignInPorts): SignInService {
  const { memory, limits, offlineMs } = ports

  const whileAway = (secret: readonly string[], who?: Attempting): SignIn => {
    const account = memory.recall(secret, offlineMs)
    if (account !== undefined && (who === undefined || limits.mayPass(who))) {
      return ports.isRevoked(account) ? REFUSED : { outcome: 'account', account, offline: true }
    }
    const retryAfterSeconds = who === undefined ? 0 : limits.countUnjudged(who)
    return retryAfterSeconds > 0 ? { outcome: 'throttled', retryAfterSeconds } : AWAY
  }

  /** The account, where it is there and the password is its. */
  const prove = async (
    { username, client }: Attempting,
    password: string,
    account: StoredAccount | undefined,
  ): Promise<StoredAccount | undefined> => {
    // A disabled account has no password that could be found out: it is verified as one that is not there.
    if (account !== undefined && !ownPowersOf(account).enabled) {
      await ports.verifyPassword(password, null, client)
      return undefined
    }
    if (ports.directory?.takes(username, account)) {
      const proven = await ports.directory.prove(username, password, account)
      return proven?.enabled ? proven : undefined
    }
    const hash = account?.passwordHash ?? null
    return (await ports.verifyPassword(password, hash, client)) ? account : undefined
  }

  /** Known credentials are neither hashed nor limited. Undefined where they are not known, or not good any more. */
  const proveKnown = async (
    who: Attempting,
    password: string,
    account: StoredAccount | undefined,
  ): Promise<StoredAccount | undefined> => {
    const known = memory.recall(secretOf(who.username, password))
    if (known === undefined || account === undefined || !account.enabled || !limits.mayPass(who))
      return undefined
    if (known.id !== account.id || known.passwordHash !== account.passwordHash) return undefined
    if (account.passwordHash !== null) return account
    // Whether it is still good, the directory says.
    if (known.generation !== account.generation || !ports.directory?.takes(who.username, account))
      return undefined
    return prove(who, password, account)
  }

  const signIn = async (who: Attempting, password: string): Promise<SignIn> => {
    const secret = secretOf(who.username, password)
    const entered = await limits.enter(who, () => memory.recall(secret) !== undefined)
    if ('outcome' in entered) return entered
    try {
      const account = await ports.findAccount(who.username)
      const known = await proveKnown(who, password, account)
      const id = memory.keyOf(secret)
      const judge = () => prove(who, password, account)
      const verified =
        known === undefined ? await limits.judge(who, account?.id, { id, judge }) : { result: known }
      if (!('result' in verified)) return verified
      memory.remember(secret, verified.result)
      limits.noteSuccess(who, verified.result.id)
      return { outcome: 'account', account: verified.result, offline: false }
    } finally {
      entered.leave()
    }
  }

  return {
    async withPassword(givenUsername, password, address) {
      const username = givenUsername.toLowerCase()
      if (password === '' || Buffer.byteLength(password) > MAX_GIVEN_BYTES) return REFUSED
      if (Buffer.byteLength(normalisePassword(password)) > MAX_BYTES) return REFUSED
      // No account has such a name. Postgres has no text with NUL in it, and long names would fill the memory.
      if (username.length > 255 || username.includes('\0')) return REFUSED
      const who = { username, client: clientNetwork(address) }
      try {
        return await signIn(who, password)
      } catch (error) {
        if (error instanceof DirectoryUnavailable) return { outcome: 'unavailable', dependency: 'directory' }
        if (ports.isUnavailable(error)) return whileAway(secretOf(username, password), who)
        throw error
      }
    },

    rememberRefreshToken: (token, service, account) =>
      memory.remember(refreshSecret(token, service), account),

    async withRefreshToken(token, service, address) {
      const secret = refreshSecret(token, service)
      try {
        const account = await ports.findByRefreshToken(token, service)
        if (account === undefined) return await limits.refuseToken(clientNetwork(address))
        memory.remember(secret, account)
        return { outcome: 'account', account, offline: false }
      } catch (error) {
        if (ports.isUnavailable(error)) return whileAway(secret)
        throw error
      }
    },
  }
}

function secretOf(username: string, password: string): readonly string[] {
  return ['password', username, password]
}
