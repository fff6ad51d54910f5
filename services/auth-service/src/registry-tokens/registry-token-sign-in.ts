import type { RegistryToken, StoredRegistryToken, StoredSecret } from '../principals/registry-token.ts'
import { isPast, isRegistryTokenName } from '../principals/registry-token.ts'
import type { Freshness, SignIn, SignInMethod } from '../sign-in/sign-in.ts'
import { RECENT_MS } from '../sign-in/sign-in.ts'
import { hasRightChecksum, hashTokenSecret, isSameHash, secretKindOf } from '../principals/token-secret.ts'
import type { CredentialCache } from '../sign-in/credential-cache.ts'

/** A password that was verified, with its registry token. */
export interface VerifiedRegistryToken {
  readonly registryToken: RegistryToken
  readonly secret: StoredSecret
  /** When the registry token was read from the database, in milliseconds since the epoch. */
  readonly readAt: number
}

export interface RegistryTokenSignInPorts {
  /** Whether an error of another port says that the database is unavailable. */
  isUnavailable(error: unknown): boolean
  /** Whether the last known revocation list revokes this generation of an account. */
  isRevoked(account: Pick<RegistryToken, 'id' | 'generation'>): boolean
  /** Whether the revocation list is fresh and does not revoke this generation of an account. */
  isUnchanged(account: Pick<RegistryToken, 'id' | 'generation'>): boolean
  /** Undefined when there is no such registry token. Throws an error that `isUnavailable` recognises. */
  findRegistryToken(username: string): Promise<StoredRegistryToken | undefined>
  readonly cache: CredentialCache<VerifiedRegistryToken>
  /** Notes in memory that a registry token was used. */
  noteUse(id: string, address: string): void
  readonly now: () => number
}

const REFUSED: SignIn = { outcome: 'refused' }

/**
 * Signs registry tokens in. A password with the form of a registry token's is compared with registry tokens only. A
 * right password is accepted even from an address with many failed sign-ins: passwords are random, so a limit protects
 * no secret, and one outdated password must not stop all jobs behind the same address.
 */
export function createRegistryTokenSignIn(ports: RegistryTokenSignInPorts): SignInMethod {
  const { cache, now, isRevoked, isUnchanged } = ports

  const accept = (verified: VerifiedRegistryToken, address: string, offline: boolean): SignIn => {
    const { registryToken, secret } = verified
    if (!registryToken.enabled || isPast(registryToken.expiresAt, now())) return REFUSED
    if (isPast(secret.until, now())) return REFUSED
    if (!offline) ports.noteUse(registryToken.id, address)
    const notAfter = earliest(registryToken.expiresAt, secret.until)
    return { outcome: 'token', registryToken, notAfter, offline }
  }

  const lookUp = async (username: string, password: string): Promise<VerifiedRegistryToken | undefined> => {
    const readAt = now()
    const found = await ports.findRegistryToken(username)
    if (found === undefined) return undefined
    const { secrets, ...registryToken } = found
    const hash = hashTokenSecret(password)
    const secret = secrets.find((stored) => isSameHash(stored.hash, hash))
    return secret && { registryToken, secret, readAt }
  }

  const signIn = async (
    givenName: string,
    password: string,
    address: string,
    freshness: Freshness,
  ): Promise<SignIn> => {
    if (!isRegistryTokenName(givenName) || !hasRightChecksum(password)) return REFUSED
    const username = givenName.toLowerCase()
    const credentials = ['registry-token', username, password]
    const cached = cache.recall(credentials)
    const isRecent = cached !== undefined && now() - cached.readAt < RECENT_MS
    if (isRecent && freshness === 'recent' && isUnchanged(cached.registryToken)) {
      return accept(cached, address, false)
    }
    try {
      const verified = await lookUp(username, password)
      if (verified === undefined) return REFUSED
      const result = accept(verified, address, false)
      if (result.outcome === 'token') cache.remember(credentials, verified)
      return result
    } catch (error) {
      if (!ports.isUnavailable(error)) throw error
      if (cached === undefined) return { outcome: 'unavailable', dependency: 'database' }
      return isRevoked(cached.registryToken) ? REFUSED : accept(cached, address, true)
    }
  }

  return { accepts: (_username, password) => secretKindOf(password) === 'registry-token', signIn }
}

/** The earlier of two times, in seconds since the epoch; undefined where both are null. */
function earliest(one: Date | null, other: Date | null): number | undefined {
  const times = [one, other].filter((time) => time !== null).map((time) => time.getTime())
  return times.length === 0 ? undefined : Math.floor(Math.min(...times) / 1000)
}
