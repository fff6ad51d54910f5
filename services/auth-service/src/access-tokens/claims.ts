import type { Access } from '@registry-manager/oci'
import type { TokenClaims } from '@registry-manager/principal'

/** The claims of an access token as they are signed. Source: RFC 7519 §4.1; distribution's token specification. */
export interface SignedClaims extends TokenClaims {
  readonly iss: string
  readonly aud: string
  readonly nbf: number
  readonly iat: number
}

/** `nbf` lies this many seconds in the past, so that a machine whose clock is behind accepts a new access token. */
const CLOCK_SKEW_SECONDS = 30

export interface ClaimsInput {
  readonly issuer: string
  readonly audience: string
  readonly subject: Pick<TokenClaims, 'sub' | 'uid' | 'kind' | 'gen' | 'via' | 'via_name' | 'name' | 'rules'>
  /** Null makes an identity token. */
  readonly access: readonly Access[] | null
  /** Marks an access token that is issued while the database is unavailable. */
  readonly offline?: boolean
  /** Seconds since the epoch. */
  readonly now: number
  readonly lifeSeconds: number
  /** The latest time that the access token may expire at, in seconds since the epoch. */
  readonly notAfter?: number
  readonly jti: string
}

/** Builds the claims of one access token. */
export function makeClaims(input: ClaimsInput): SignedClaims {
  const { issuer, audience, subject, access, offline, now, lifeSeconds, notAfter = Infinity, jti } = input
  return {
    iss: issuer,
    ...subject,
    aud: audience,
    exp: Math.min(now + lifeSeconds, notAfter),
    nbf: now - CLOCK_SKEW_SECONDS,
    iat: now,
    jti,
    access,
    ...(offline === true && { offline }),
  }
}
