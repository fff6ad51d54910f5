import type { Access } from '@registry-manager/oci'
import { TokenError, createVerifier } from 'fast-jwt'

/** The claims of a token that we issued. */
export interface TokenClaims {
  /** Username, or `service:NAME` for a token that one of our services works with; empty for anybody's. */
  readonly sub: string
  /** The account's id, or ANONYMOUS_UID; absent for services. */
  readonly uid?: string
  /** The account's generation when the token was issued; absent for services. */
  readonly gen?: number
  /** What it permits; null for an identity token. */
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
  /** The public key of a key id, PEM; undefined when there is no such key of ours. May throw. */
  readonly findKey: (kid: string) => Promise<string | undefined>
}

const UNKNOWN_KEY = 'the token names no key of ours'

/**
 * Verifies tokens: ES256 and nothing else, with a key that the header's `kid` names among ours (a key in the
 * header itself is never looked at), issuer, audience, `nbf` and `exp`. Answers undefined for a token that is
 * not good; throws only when keys cannot be had. Whether it was revoked is not asked here.
 * Source: RFC 7519 §7.2; RFC 8725 §3.1.
 */
export function createTokenVerifier({ issuer, audience, findKey }: TokenVerifierOptions): VerifyToken {
  const verify = createVerifier({
    algorithms: ['ES256'],
    allowedIss: issuer,
    allowedAud: audience,
    requiredClaims: ['iss', 'sub', 'aud', 'exp', 'jti'],
    cache: 10_000,
    // Beyond this a token is verified anew: its key may have been withdrawn.
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
      // A key that could not be had is a fault; all else is said about the token (some of it as a parser's error).
      const { code, originalError: cause } = error as { code?: string; originalError?: unknown }
      if (error instanceof TokenError && code !== TokenError.codes.keyFetchingError) return undefined
      throw cause ?? error
    }
  }
}
