import type { RegistryToken, StoredRegistryToken, StoredSecret } from './registry-token.ts'
import { isPast, isTokenName } from './registry-token.ts'
import type { SignIn, SignInMethod } from '../sign-in/sign-in.ts'
import { hasRightChecksum, hashTokenSecret, isSameHash, isTokenSecret } from './registry-token-secret.ts'
import type { CredentialCache } from '../sign-in/credential-cache.ts'

/** A password that was found to be good. */
export interface VerifiedToken {
  readonly token: RegistryToken
  readonly secret: StoredSecret
  /** Milliseconds since the epoch. */
  readonly verifiedAt: number
}

export interface TokenSignInPorts {
  /** Whether an error of another port says that the database is unavailable. */
  isUnavailable(error: unknown): boolean
  /** Whether the last known revocation list revokes this generation of an account. */
  isRevoked(account: Pick<RegistryToken, 'id' | 'generation'>): boolean
  /** Undefined when there is no such token; throws what `isUnavailable` knows while the database is away. */
  findToken(username: string): Promise<StoredRegistryToken | undefined>
  readonly memory: CredentialCache<VerifiedToken>
  /** Notes that a token was used, in memory. */
  noteUse(id: string, address: string): void
  readonly now: () => number
}

const REFUSED: SignIn = { outcome: 'refused' }

/**
 * A password that was found to be good is not looked up again for so long. A change of the token is heard of
 * earlier than that: revocations are read each second.
 */
export const FRESH_MS = 2000

/**
 * Signs registry tokens in. A password that has the form of a registry token's is compared with nothing else. Right ones
 * always pass, also from an address with many wrong ones: the passwords are random, so a limit would protect no secret,
 * and one stale password must not stop all jobs behind one address.
 */
export function createRegistryTokenSignIn(ports: TokenSignInPorts): SignInMethod {
  const { memory, now, isRevoked } = ports

  const accept = (verified: VerifiedToken, address: string, offline: boolean): SignIn => {
    const { token, secret } = verified
    if (!token.enabled || isPast(token.expiresAt, now()) || isPast(secret.until, now())) return REFUSED
    if (!offline) ports.noteUse(token.id, address)
    return { outcome: 'token', token, notAfter: earliest(token.expiresAt, secret.until), offline }
  }

  const lookUp = async (username: string, password: string): Promise<VerifiedToken | undefined> => {
    const found = await ports.findToken(username)
    if (found === undefined) return undefined
    const { secrets, ...token } = found
    const hash = hashTokenSecret(password)
    const secret = secrets.find((stored) => isSameHash(stored.hash, hash))
    return secret && { token, secret, verifiedAt: now() }
  }

  const signIn = async (givenName: string, password: string, address: string): Promise<SignIn> => {
    if (!isTokenName(givenName) || !hasRightChecksum(password)) return REFUSED
    const username = givenName.toLowerCase()
    const credentials = ['registry-token', username, password]
    const remembered = memory.recall(credentials)
    const living = remembered && !isRevoked(remembered.token) ? remembered : undefined
    if (living !== undefined && now() - living.verifiedAt < FRESH_MS) return accept(living, address, false)
    try {
      const verified = await lookUp(username, password)
      if (verified === undefined) return REFUSED
      const result = accept(verified, address, false)
      if (result.outcome === 'token') memory.remember(credentials, verified)
      return result
    } catch (error) {
      if (!ports.isUnavailable(error)) throw error
      if (remembered === undefined) return { outcome: 'unavailable', dependency: 'database' }
      return living === undefined ? REFUSED : accept(living, address, true)
    }
  }

  return { accepts: (_username, password) => isTokenSecret(password), signIn }
}

/** The earlier of two times, in seconds since the epoch; undefined where neither is. */
function earliest(one: Date | null, other: Date | null): number | undefined {
  const times = [one, other].filter((time) => time !== null).map((time) => time.getTime())
  return times.length === 0 ? undefined : Math.floor(Math.min(...times) / 1000)
}
