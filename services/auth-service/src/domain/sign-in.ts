import type { Account, StoredAccount } from './account.ts'
import type { RegistryToken } from './registry-token.ts'
import { DirectoryAway } from './directory.ts'
import type { DirectorySignIn } from './directory-sign-in.ts'
import type { Throttle } from './throttle.ts'
import type { VerifiedMemory } from './verified-memory.ts'

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
  | { readonly outcome: 'unavailable'; readonly part: 'the database' | 'the directory' }

export interface SignInPorts {
  /** Undefined when there is no such account; throws what `isUnavailable` knows while the database is away. */
  findAccount(username: string): Promise<StoredAccount | undefined>
  /** Finds the live refresh token's account and notes that it was used. */
  findByRefreshToken(token: string, service: string): Promise<StoredAccount | undefined>
  isUnavailable(error: unknown): boolean
  verifyPassword(password: string, hash: string | null): Promise<boolean>
  /** Where a directory is configured. */
  readonly directory?: DirectorySignIn
  /** Whether the last known revocations end this generation of an account. */
  isRevoked(account: Pick<Account, 'id' | 'generation'>): boolean
  readonly memory: VerifiedMemory<Account & { readonly passwordHash?: string | null }>
  readonly throttle: Throttle
}

export interface SignInService {
  withPassword(username: string, password: string, address: string): Promise<SignIn>
  withRefreshToken(token: string, service: string): Promise<SignIn>
  /** Remembers a refresh token that was made just now: it is as good as one that was shown. */
  rememberRefreshToken(token: string, service: string, account: Account): void
}

const REFUSED: SignIn = { outcome: 'refused' }
const refreshSecret = (token: string, service: string) => ['refresh-token', token, service]
const AWAY: SignIn = { outcome: 'unavailable', part: 'the database' }

/**
 * Finds out who holds some credentials. While the database is away, those that were good within the memory's
 * age still are, unless their account is known to be revoked.
 */
export function createSignIn(ports: SignInPorts): SignInService {
  const { memory, throttle } = ports

  const whileAway = (secret: readonly string[]): SignIn => {
    const account = memory.recall(secret)
    if (account === undefined) return AWAY
    return ports.isRevoked(account) ? REFUSED : { outcome: 'account', account, offline: true }
  }

  /** The account whose password it is. */
  const prove = async (username: string, password: string): Promise<StoredAccount | undefined> => {
    const account = await ports.findAccount(username)
    if (ports.directory?.takes(username, account)) return ports.directory.prove(username, password, account)
    const hash = account?.passwordHash ?? null
    // The slow hash is computed once for each password, not once for each request.
    const known = hash !== null && memory.recall(secretOf(username, password))?.passwordHash === hash
    return known || (await ports.verifyPassword(password, hash)) ? account : undefined
  }

  return {
    async withPassword(givenUsername, password, address) {
      const username = givenUsername.toLowerCase()
      if (password === '' || Buffer.byteLength(password) > 1024) return REFUSED
      // Nobody is called that; Postgres cannot even look for a NUL, nor the throttle remember novels.
      if (username.length > 255 || username.includes('\0')) return REFUSED
      const attempts = `${username} ${address}`
      const retryAfterSeconds = throttle.waitSeconds(attempts)
      if (retryAfterSeconds > 0) return { outcome: 'throttled', retryAfterSeconds }

      const secret = secretOf(username, password)
      try {
        const account = await prove(username, password)
        if (account === undefined) {
          throttle.fail(attempts)
          return REFUSED
        }
        if (!account.enabled) return REFUSED
        memory.remember(secret, account)
        throttle.succeed(attempts)
        return { outcome: 'account', account, offline: false }
      } catch (error) {
        if (error instanceof DirectoryAway) return { outcome: 'unavailable', part: 'the directory' }
        if (ports.isUnavailable(error)) return whileAway(secret)
        throw error
      }
    },

    rememberRefreshToken: (token, service, account) =>
      memory.remember(refreshSecret(token, service), account),

    async withRefreshToken(token, service) {
      const secret = refreshSecret(token, service)
      try {
        const account = await ports.findByRefreshToken(token, service)
        if (account === undefined) return REFUSED
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
