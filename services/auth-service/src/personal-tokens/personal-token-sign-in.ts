import type { Account } from '../principals/account.ts'
import type { PersonalTokenPrincipal } from '../principals/personal-token.ts'
import { isActive } from '../principals/principal.ts'
import { hasRightChecksum, hashTokenSecret, secretKindOf } from '../principals/token-secret.ts'
import type { CredentialCache } from '../sign-in/credential-cache.ts'
import type { Freshness, SignIn, SignInMethod } from '../sign-in/sign-in.ts'
import { RECENT_MS } from '../sign-in/sign-in.ts'

/** A password that was verified, with its personal token and the owner. */
export interface VerifiedPersonalToken {
  readonly account: PersonalTokenPrincipal
  /** When both were read from the database, in milliseconds since the epoch. */
  readonly readAt: number
}

export interface PersonalTokenSignInPorts {
  /** Whether an error of another port says that the database is unavailable. */
  isUnavailable(error: unknown): boolean
  /** Whether the last known revocation list revokes a generation of an account, or a personal token by its id. */
  isRevoked(account: Pick<Account, 'id' | 'generation'>): boolean
  /** Whether the revocation list is fresh and does not revoke it. */
  isUnchanged(account: Pick<Account, 'id' | 'generation'>): boolean
  /** Undefined when there is no such personal token. Throws an error that `isUnavailable` recognises. */
  findBySecret(secretHash: Buffer): Promise<PersonalTokenPrincipal | undefined>
  readonly cache: CredentialCache<VerifiedPersonalToken>
  /** Notes in memory that a personal token was used. */
  noteUse(id: string, address: string): void
  readonly now: () => number
}

const REFUSED: SignIn = { outcome: 'refused' }

/**
 * Signs users in with their personal tokens. The username must be the owner's. A right password is accepted even from
 * an address with many failed sign-ins, as that of a registry token is: it is random, so a limit protects no secret.
 */
export function createPersonalTokenSignIn(ports: PersonalTokenSignInPorts): SignInMethod {
  const { cache, now, isRevoked, isUnchanged } = ports

  const accept = (
    account: PersonalTokenPrincipal,
    username: string,
    address: string,
    offline: boolean,
  ): SignIn => {
    if (account.username !== username || !isActive(account, now())) return REFUSED
    const { id, expiresAt } = account.via
    if (!offline) ports.noteUse(id, address)
    const notAfter = expiresAt === null ? undefined : Math.floor(expiresAt.getTime() / 1000)
    return { outcome: 'personal-token', account, notAfter, offline }
  }

  const signIn = async (
    givenName: string,
    password: string,
    address: string,
    freshness: Freshness,
  ): Promise<SignIn> => {
    if (!hasRightChecksum(password)) return REFUSED
    const username = givenName.toLowerCase()
    const credentials = ['personal-token', username, password]
    const cached = cache.recall(credentials)
    const isRecent = cached !== undefined && now() - cached.readAt < RECENT_MS
    if (isRecent && freshness === 'recent' && revocableParts(cached.account).every(isUnchanged)) {
      return accept(cached.account, username, address, false)
    }
    try {
      const readAt = now()
      const account = await ports.findBySecret(hashTokenSecret(password))
      if (account === undefined) return REFUSED
      const result = accept(account, username, address, false)
      if (result.outcome === 'personal-token') cache.remember(credentials, { account, readAt })
      return result
    } catch (error) {
      if (!ports.isUnavailable(error)) throw error
      if (cached === undefined) return { outcome: 'unavailable', dependency: 'database' }
      if (revocableParts(cached.account).some(isRevoked)) return REFUSED
      return accept(cached.account, username, address, true)
    }
  }

  return { accepts: (_username, password) => secretKindOf(password) === 'personal-token', signIn }
}

/** What the revocation list can end: the owner's generation, and the personal token, which has no generations. */
function revocableParts({
  id,
  generation,
  via,
}: PersonalTokenPrincipal): Pick<Account, 'id' | 'generation'>[] {
  return [
    { id, generation },
    { id: via.id, generation: 0 },
  ]
}
