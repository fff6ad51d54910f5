import type { PersonalTokenPrincipal } from '../principals/personal-token.ts'
import { isActive } from '../principals/principal.ts'
import { hashSecret } from '../principals/secret-hash.ts'
import { hasRightChecksum, secretKindOf } from '../principals/token-secret.ts'
import type { Freshness, SignIn, SignInMethod } from '../sign-in/sign-in.ts'
import { refusedByCondition } from '../sign-in/sign-in-problem.ts'
import type { Revocable, Verified, VerifiedSecretsPorts } from '../sign-in/verified-secrets.ts'
import { signInWithSecret } from '../sign-in/verified-secrets.ts'

/** A password that was verified, with its personal token and the owner. */
export interface VerifiedPersonalToken extends Verified {
  readonly account: PersonalTokenPrincipal
}

export interface PersonalTokenSignInPorts extends VerifiedSecretsPorts<VerifiedPersonalToken> {
  /** Undefined when there is no such personal token. Throws an error that `isUnavailable` recognizes. */
  findBySecret(secretHash: Buffer): Promise<PersonalTokenPrincipal | undefined>
  /** Notes in memory that a personal token was used. */
  noteUse(id: string, address: string): void
}

const REFUSED: SignIn = { outcome: 'refused' }

/**
 * Signs users in with their personal tokens. The username must be the owner's. A right password is accepted even from
 * an address with many failed sign-ins, as for registry tokens: passwords of tokens are random, so a limit would
 * protect no secret.
 */
export function createPersonalTokenSignIn(ports: PersonalTokenSignInPorts): SignInMethod {
  const { now } = ports

  const accept = (
    account: PersonalTokenPrincipal,
    username: string,
    address: string,
    offline: boolean,
  ): SignIn => {
    if (account.username !== username || !isActive(account, now())) return REFUSED
    const { id, expiresAt, conditions } = account.via
    const refused = refusedByCondition(conditions, { address, now: now() })
    if (refused !== undefined) return refused
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
    return signInWithSecret(ports, {
      credentials: ['personal-token', username, password],
      freshness,
      async verify() {
        const readAt = now()
        const account = await ports.findBySecret(hashSecret(password))
        return account === undefined ? REFUSED : { account, readAt }
      },
      revocablesOf: ({ account }) => revocablesOf(account),
      accept: ({ account }, offline) => accept(account, username, address, offline),
    })
  }

  return { accepts: (_username, password) => secretKindOf(password) === 'personal-token', signIn }
}

/**
 * The entries of the revocation list that revoke the credential: the owner's generation, and the personal token, whose
 * generation is always 0.
 */
function revocablesOf({ id, generation, via }: PersonalTokenPrincipal): Revocable[] {
  return [
    { id, generation },
    { id: via.id, generation: 0 },
  ]
}
