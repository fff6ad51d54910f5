import type { UnverifiedToken } from '../principals/json-web-token.ts'
import type { ForeignTokenFault } from '../principals/workload.ts'

/** The algorithms of RFC 7518 §3.1 and RFC 8037 with a public key. Never `none`, and none with a shared secret. */
export const ALGORITHMS: readonly string[] = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]

/** The clocks of the issuer and of this machine may differ by this much, in seconds. */
export const CLOCK_SKEW_SECONDS = 60
const MAX_AUDIENCES = 20

/** The claims of a token of another issuer that every sign-in needs. */
export interface ForeignClaims {
  readonly issuer: string
  readonly audiences: readonly string[]
  readonly subject: string
  /** Seconds since the epoch. */
  readonly expiresAt: number
}

/**
 * Reads the claims of a token of another issuer before they are verified: a token that can never be accepted costs no
 * query. Clock skew is allowed for `iat` and `nbf`, not for `exp`: no access may outlive the token.
 * Source: RFC 7519 §4.1; RFC 8725 §3.1.
 */
export function readForeignToken(
  { header, payload }: UnverifiedToken,
  nowMs: number,
): ForeignClaims | { readonly fault: ForeignTokenFault } {
  if (typeof header['alg'] !== 'string' || !ALGORITHMS.includes(header['alg'])) return { fault: 'algorithm' }
  const { iss: issuer, aud, exp, sub: subject = '', iat = 0, nbf = 0 } = payload
  const audiences = typeof aud === 'string' ? [aud] : aud
  const isValid =
    isStringWithoutNul(issuer) && isStringList(audiences) && typeof subject === 'string' && isTime(exp)
  if (!isValid || !isTime(iat) || !isTime(nbf)) return { fault: 'claims' }
  const now = nowMs / 1000
  if (exp <= now) return { fault: 'expired' }
  if (Math.max(iat, nbf) > now + CLOCK_SKEW_SECONDS) return { fault: 'not-yet-valid' }
  return { issuer, audiences, subject, expiresAt: Math.floor(exp) }
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

/** Postgres has no NUL in strings. */
function isStringWithoutNul(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0')
}

function isStringList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= MAX_AUDIENCES && value.every(isStringWithoutNul)
}
