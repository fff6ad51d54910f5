import type { LogoutToken } from '../provider.ts'
import { InvalidResponse } from '../provider.ts'

/** Asymmetric signatures only: with `none` or a symmetric algorithm others could sign. Source: RFC 8725 §3.1. */
export const LOGOUT_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'EdDSA',
]

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
/** A logout token that lives longer would have to be stored for longer. The specification suggests two minutes. */
const MAX_LIFE_MS = 3_600_000
const MAX_LENGTH = 255

/**
 * Reads the claims of a logout token whose signature, issuer, audience and times were verified.
 * Source: OpenID Connect Back-Channel Logout 1.0 §2.4 and §2.6.
 */
export function readLogoutToken(claims: Readonly<Record<string, unknown>>, nowMs: number): LogoutToken {
  const { sub, sid, jti, exp, iat, events, nonce } = claims
  if (nonce !== undefined) throw invalid('has a nonce, so it is an ID token')
  const event =
    typeof events === 'object' && events !== null ? (events as Record<string, unknown>)[EVENT] : null
  if (typeof event !== 'object' || event === null) throw invalid('has no logout event')
  if (typeof iat !== 'number') throw invalid('has no iat')
  if (typeof exp !== 'number') throw invalid('has no exp')
  if (exp * 1000 > nowMs + MAX_LIFE_MS) throw invalid('lives longer than an hour')
  const [subject, session] = [stringOf('sub', sub), stringOf('sid', sid)]
  const id = stringOf('jti', jti)
  if (id === undefined) throw invalid('has no jti')
  if (subject === undefined && session === undefined) throw invalid('has neither sub nor sid')
  return { subject, session, id, expiresAt: new Date(exp * 1000) }
}

function stringOf(name: string, value: unknown): string | undefined {
  if (value === undefined) return undefined
  const isRight =
    typeof value === 'string' && value !== '' && value.length <= MAX_LENGTH && !value.includes('\0')
  if (isRight) return value
  throw invalid(`has a ${name} that is not a string of 1 to ${MAX_LENGTH} characters`)
}

function invalid(what: string): InvalidResponse {
  return new InvalidResponse(`the logout token ${what}`)
}
