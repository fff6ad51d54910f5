import type { TokenClaims, VerifyToken } from '@registry-manager/principal'
import type { AccountPrincipal } from '../principals/principal.ts'

export interface IdentityTokenPorts {
  readonly verifyToken: VerifyToken
  /** `via`: the id of the personal token that acts for the account. */
  readonly findPrincipalById: (id: string, via?: string) => Promise<AccountPrincipal | undefined>
}

/**
 * Returns the principal of a valid identity token, and when the identity token expires (seconds since the epoch).
 * Undefined for any other access token, and for one from before its account's present generation.
 */
export async function findIdentity(
  { verifyToken, findPrincipalById }: IdentityTokenPorts,
  token: string,
): Promise<{ principal: AccountPrincipal; expiresAt: number } | undefined> {
  const claims = await verifyToken(token)
  if (claims === undefined || !isIdentity(claims)) return undefined
  const principal = await findPrincipalById(claims.uid, claims.via)
  if (principal === undefined || !principal.enabled || principal.generation !== claims.gen) return undefined
  return { principal, expiresAt: claims.exp }
}

function isIdentity(claims: TokenClaims): claims is TokenClaims & { uid: string } {
  return claims.access === null && claims.uid !== undefined
}
