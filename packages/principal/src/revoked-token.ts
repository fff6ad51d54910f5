/** Whether a generation of an account is revoked. Undefined while the revocation list has not been loaded yet. */
export type IsRevoked = (uid: string, generation: number) => boolean | undefined

/** The account and the credential whose revocation also revokes an access token. */
export interface TokenOrigin {
  /** The account, and its generation when the token was issued. */
  readonly uid: string
  readonly gen: number
  /** The id of the credential that acts for the account, such as a personal token. */
  readonly via?: string | undefined
}

/**
 * Whether an access token is revoked: either its account's generation is revoked, or the credential that it was
 * requested with. Such a credential never changes, so the revocation list has its id only after it ended. Undefined
 * while the revocation list has not been loaded yet.
 */
export function isTokenRevoked(isRevoked: IsRevoked, { uid, gen, via }: TokenOrigin): boolean | undefined {
  const revoked = isRevoked(uid, gen)
  return revoked === false && via !== undefined ? isRevoked(via, 0) : revoked
}
