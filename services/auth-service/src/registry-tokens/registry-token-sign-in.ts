import type { RegistryToken, StoredRegistryToken, StoredSecret } from './registry-token.ts'
import { isPast, isRegistryTokenName } from './registry-token.ts'
import { clientNetwork } from '../sign-in/client-address.ts'
import type { SignIn, SignInPorts, SignInService } from '../sign-in/sign-in.ts'
import type { Refusal } from '../sign-in/sign-in-limits.ts'
import {
  hasRightChecksum,
  hashRegistryTokenSecret,
  isSameHash,
  isRegistryTokenSecret,
} from './registry-token-secret.ts'
import type { CredentialCache } from '../sign-in/credential-cache.ts'

/** A password that was verified, with its registry token. */
export interface VerifiedRegistryToken {
  readonly token: RegistryToken
  readonly secret: StoredSecret
  /** Milliseconds since the epoch. */
  readonly verifiedAt: number
}

export interface RegistryTokenSignInPorts extends Pick<SignInPorts, 'isUnavailable' | 'isRevoked'> {
  /** Undefined when there is no such registry token. Throws an error that `isUnavailable` recognises. */
  findRegistryToken(username: string): Promise<StoredRegistryToken | undefined>
  readonly memory: CredentialCache<VerifiedRegistryToken>
  /** Notes in memory that a registry token was used. */
  noteUse(id: string, address: string): void
  /** Counts a wrong password of a client, named by `clientNetwork`. */
  refuse(client: string): Promise<Refusal>
  readonly now: () => number
}

const REFUSED: SignIn = { outcome: 'refused' }

/**
 * A verified password is not looked up again for this long. A change of the registry token takes effect sooner: the
 * revocation list is polled each second.
 */
export const FRESH_MS = 2000

/**
 * Adds registry tokens to the sign-in of users. A password with the form of a registry token's is compared with registry
 * tokens only. Wrong passwords are counted by address; too many get 429. Right ones always pass: they are random, so a
 * limit protects no secret, and one outdated password must not stop all jobs behind the same address.
 */
export function withRegistryTokens(users: SignInService, ports: RegistryTokenSignInPorts): SignInService {
  const { memory, now, isRevoked } = ports

  const accept = (verified: VerifiedRegistryToken, address: string, offline: boolean): SignIn => {
    const { token, secret } = verified
    if (!token.enabled || isPast(token.expiresAt, now()) || isPast(secret.until, now())) return REFUSED
    if (!offline) ports.noteUse(token.id, address)
    return { outcome: 'token', token, notAfter: earliest(token.expiresAt, secret.until), offline }
  }

  const lookUp = async (username: string, password: string): Promise<VerifiedRegistryToken | undefined> => {
    const found = await ports.findRegistryToken(username)
    if (found === undefined) return undefined
    const { secrets, ...token } = found
    const hash = hashRegistryTokenSecret(password)
    const secret = secrets.find((stored) => isSameHash(stored.hash, hash))
    return secret && { token, secret, verifiedAt: now() }
  }

  const withRegistryToken = async (givenName: string, password: string, address: string): Promise<SignIn> => {
    if (!isRegistryTokenName(givenName) || !hasRightChecksum(password)) return REFUSED
    const username = givenName.toLowerCase()
    const credentials = ['registry-token', username, password]
    const cached = memory.recall(credentials)
    const valid = cached && !isRevoked(cached.token) ? cached : undefined
    if (valid !== undefined && now() - valid.verifiedAt < FRESH_MS) return accept(valid, address, false)
    try {
      const verified = await lookUp(username, password)
      if (verified === undefined) return REFUSED
      const signIn = accept(verified, address, false)
      if (signIn.outcome === 'token') memory.remember(credentials, verified)
      return signIn
    } catch (error) {
      if (!ports.isUnavailable(error)) throw error
      if (cached === undefined) return { outcome: 'unavailable', dependency: 'database' }
      return valid === undefined ? REFUSED : accept(valid, address, true)
    }
  }

  return {
    ...users,
    async withPassword(username, password, address) {
      if (!isRegistryTokenSecret(password)) return users.withPassword(username, password, address)
      const signIn = await withRegistryToken(username, password, address)
      return signIn.outcome === 'refused' ? ports.refuse(clientNetwork(address)) : signIn
    },
  }
}

/** The earlier of two times, in seconds since the epoch; undefined where both are null. */
function earliest(one: Date | null, other: Date | null): number | undefined {
  const times = [one, other].filter((time) => time !== null).map((time) => time.getTime())
  return times.length === 0 ? undefined : Math.floor(Math.min(...times) / 1000)
}
