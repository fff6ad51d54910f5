import type { CredentialCache } from './credential-cache.ts'
import type { Freshness, SignIn } from './sign-in.ts'
import { RECENT_MS } from './sign-in.ts'

/** An entry that the revocation list can revoke: a generation of an account or of a trust rule, or a personal token. */
export interface Revocable {
  readonly id: string
  readonly generation: number
}

/** A secret that was verified. */
export interface Verified {
  /** When its account was read from the database, in milliseconds since the epoch. */
  readonly readAt: number
}

export interface VerifiedSecretsPorts<Secret extends Verified> {
  /** Whether an error says that the database is unavailable. */
  isUnavailable(error: unknown): boolean
  /** Whether the last known revocation list revokes it. */
  isRevoked(revocable: Revocable): boolean
  /** Whether the revocation list is fresh and does not revoke it. */
  isUnchanged(revocable: Revocable): boolean
  readonly cache: CredentialCache<Secret>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface SecretSignIn<Secret extends Verified> {
  /** The key of the cache: the kind of secret, and the credentials. */
  readonly credentials: readonly string[]
  readonly freshness: Freshness
  /**
   * Verifies the secret with the database. Returns the refusal of a wrong one. Throws an error that `isUnavailable`
   * recognizes.
   */
  verify(): Promise<Secret | SignIn>
  /** The entries whose revocation ends the secret. */
  revocablesOf(secret: Secret): readonly Revocable[]
  /** The result for a verified secret. `offline`: the database is unavailable. */
  accept(secret: Secret, offline: boolean): SignIn
}

/**
 * Signs in with a random secret or a signed token, for which a fast verification is enough. A secret that was verified
 * within `RECENT_MS` is not verified again while the revocation list confirms it (docs/decisions/0034). While the
 * database is unavailable, cached secrets are accepted unless the revocation list revokes them (docs/decisions/0003).
 */
export async function signInWithSecret<Secret extends Verified>(
  { isUnavailable, isRevoked, isUnchanged, cache, now }: VerifiedSecretsPorts<Secret>,
  { credentials, freshness, verify, revocablesOf, accept }: SecretSignIn<Secret>,
): Promise<SignIn> {
  const cached = cache.recall(credentials)
  const isRecent = cached !== undefined && now() - cached.readAt < RECENT_MS
  if (isRecent && freshness === 'recent' && revocablesOf(cached).every(isUnchanged)) {
    return accept(cached, false)
  }
  try {
    const verified = await verify()
    if ('outcome' in verified) return verified
    const result = accept(verified, false)
    if (result.outcome !== 'refused') cache.remember(credentials, verified)
    return result
  } catch (error) {
    if (!isUnavailable(error)) throw error
    if (cached === undefined) return { outcome: 'unavailable', dependency: 'database' }
    return revocablesOf(cached).some(isRevoked) ? { outcome: 'refused' } : accept(cached, true)
  }
}
