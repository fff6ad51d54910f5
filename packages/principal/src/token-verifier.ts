import type { Access } from '@registry-manager/oci'
import { TokenError, createVerifier } from 'fast-jwt'

/** The claims of an access token of auth-service. */
export interface TokenClaims {
  /**
   * Username, `service:NAME` for a token of one of our services, `workload:NAMESPACE/RULE` for a workload, or empty for
   * an anonymous token.
   */
  readonly sub: string
  /** The id of the account, or of the trust rule of a workload, or ANONYMOUS_UID; absent for services. */
  readonly uid?: string
  /** Set for registry tokens, personal tokens and workloads; absent for users, and in tokens of a previous version. */
  readonly kind?: 'registry-token' | 'personal-token' | 'workload'
  /**
   * The id of the personal token that the access token was requested with. The other claims name its owner. The access
   * token is revoked if either the owner's generation or this id is.
   */
  readonly via?: string
  /** The name of that personal token, for logs and events. */
  readonly via_name?: string
  /** The generation of the account or trust rule when the token was issued; absent for services. */
  readonly gen?: number
  /** The name of the principal in logs and events, if that is not `sub`. */
  readonly name?: string
  /** Further trust rules that the access comes from: their ids and generations. */
  readonly rules?: readonly (readonly [id: string, generation: number])[]
  /** The granted access; null for an identity token. */
  readonly access: readonly Access[] | null
  /** The token was issued while the database was unavailable, so it permits pulls only; absent otherwise. */
  readonly offline?: true
  /** NumericDate, seconds. */
  readonly exp: number
  readonly jti: string
}

export type VerifyToken = (token: string) => Promise<TokenClaims | undefined>

export interface TokenVerifierOptions {
  readonly issuer: string
  readonly audience: string
  /** The public key (PEM) of a key id; undefined when auth-service has no such key. May throw. */
  readonly findKey: (kid: string) => Promise<string | undefined>
}

const UNKNOWN_KEY = 'the token names an unknown key'

/**
 * Verifies access tokens: ES256 only, with the key of auth-service that the header's `kid` names (a key in the header
 * itself is ignored), issuer, audience, `nbf` and `exp`. Returns undefined for an invalid token, and throws only when
 * the keys cannot be read. Does not check revocation.
 * Source: RFC 7519 §7.2; RFC 8725 §3.1.
 */
export function createTokenVerifier({ issuer, audience, findKey }: TokenVerifierOptions): VerifyToken {
  const verify = createVerifier({
    algorithms: ['ES256'],
    allowedIss: issuer,
    allowedAud: audience,
    requiredClaims: ['iss', 'sub', 'aud', 'exp', 'jti'],
    cache: 10_000,
    // After this time a token is verified again: its key may have been withdrawn.
    cacheTTL: 60_000,
    errorCacheTTL: -1,
    key: async ({ header }: { header: { kid?: unknown } }) => {
      const key = typeof header.kid === 'string' ? await findKey(header.kid) : undefined
      if (key === undefined) throw new TokenError(TokenError.codes.invalidKey, UNKNOWN_KEY)
      return key
    },
  })
  return async (token) => {
    try {
      return (await verify(token)) as TokenClaims
    } catch (error) {
      // Only a failure to read keys is a fault. Every other error means that the token is invalid.
      const { code, originalError: cause } = error as { code?: string; originalError?: unknown }
      if (error instanceof TokenError && code !== TokenError.codes.keyFetchingError) return undefined
      throw cause ?? error
    }
  }
}
