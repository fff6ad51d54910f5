import type { RegistryToken, StoredRegistryToken, StoredSecret } from '../principals/registry-token.ts'
import { isPast, isRegistryTokenName } from '../principals/registry-token.ts'
import type { Freshness, SignIn, SignInMethod } from '../sign-in/sign-in.ts'
import { hashSecret, isSameHash } from '../principals/secret-hash.ts'
import { hasRightChecksum, secretKindOf } from '../principals/token-secret.ts'
import { refusedByCondition } from '../sign-in/sign-in-problem.ts'
import type { Verified, VerifiedSecretsPorts } from '../sign-in/verified-secrets.ts'
import { signInWithSecret } from '../sign-in/verified-secrets.ts'

/** A password that was verified, with its registry token. */
export interface VerifiedRegistryToken extends Verified {
  readonly registryToken: RegistryToken
  readonly secret: StoredSecret
}

export interface RegistryTokenSignInPorts extends VerifiedSecretsPorts<VerifiedRegistryToken> {
  /** Undefined when there is no such registry token. Throws an error that `isUnavailable` recognizes. */
  findRegistryToken(username: string): Promise<StoredRegistryToken | undefined>
  /** Notes in memory that a registry token was used. */
  noteUse(id: string, address: string): void
}

const REFUSED: SignIn = { outcome: 'refused' }

/**
 * Signs registry tokens in. A password with the form of a registry token's is compared with registry tokens only. A
 * right password is accepted even from an address with many failed sign-ins: passwords are random, so a limit protects
 * no secret, and one outdated password must not stop all jobs behind the same address.
 */
export function createRegistryTokenSignIn(ports: RegistryTokenSignInPorts): SignInMethod {
  const { now } = ports

  const accept = (verified: VerifiedRegistryToken, address: string, offline: boolean): SignIn => {
    const { registryToken, secret } = verified
    if (!registryToken.enabled || isPast(registryToken.expiresAt, now())) return REFUSED
    if (isPast(secret.until, now())) return REFUSED
    const refused = refusedByCondition(registryToken.conditions, { address, now: now() })
    if (refused !== undefined) return refused
    if (!offline) ports.noteUse(registryToken.id, address)
    const notAfter = earliest(registryToken.expiresAt, secret.until)
    return { outcome: 'registry-token', registryToken, notAfter, offline }
  }

  const lookUp = async (username: string, password: string): Promise<VerifiedRegistryToken | undefined> => {
    const readAt = now()
    const found = await ports.findRegistryToken(username)
    if (found === undefined) return undefined
    const { secrets, ...registryToken } = found
    const hash = hashSecret(password)
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
    return signInWithSecret(ports, {
      credentials: ['registry-token', username, password],
      freshness,
      verify: async () => (await lookUp(username, password)) ?? REFUSED,
      revocablesOf: ({ registryToken }) => [registryToken],
      accept: (verified, offline) => accept(verified, address, offline),
    })
  }

  return { accepts: (_username, password) => secretKindOf(password) === 'registry-token', signIn }
}

/** The earlier of two times, in seconds since the epoch; undefined if both are null. */
function earliest(one: Date | null, other: Date | null): number | undefined {
  const times = [one, other].filter((time) => time !== null).map((time) => time.getTime())
  return times.length === 0 ? undefined : Math.floor(Math.min(...times) / 1000)
}
