import type { Access } from '@registry-manager/oci'
import type { Dependency } from '@registry-manager/http'
import type { Credentials } from './credentials.ts'
import type { TokenClaims } from './token-verifier.ts'

/** Who asks, as their verified token says. */
export interface Principal {
  readonly uid: string
  /** Null for an identity token, which names the account and carries nothing. */
  readonly access: readonly Access[] | null
  /**
   * The token was issued while the database was unavailable: that it permits no more than pulls says nothing
   * about what the account may do. Absent otherwise.
   */
  readonly offline?: true
}

export type Authenticated =
  | { readonly outcome: 'principal'; readonly principal: Principal; readonly token: string }
  /** `error` tells a client that showed a token why another one is needed. */
  | { readonly outcome: 'refused'; readonly error?: 'invalid_token' }
  | { readonly outcome: 'throttled'; readonly retryAfterSeconds: number }
  /** What verifies passwords or knows accounts does not respond. */
  | { readonly outcome: 'unavailable'; readonly dependency: Dependency }
  /** The revocation list has not been loaded yet. */
  | { readonly outcome: 'unknown' }

export type Exchanged =
  | { readonly outcome: 'issued'; readonly token: string }
  | { readonly outcome: 'refused' }
  | { readonly outcome: 'throttled'; readonly retryAfterSeconds: number }
  | { readonly outcome: 'unavailable'; readonly dependency: Dependency }

export interface AuthenticatePorts {
  readonly verifyToken: (token: string) => Promise<TokenClaims | undefined>
  /** Undefined while no revocations were ever had. */
  readonly isRevoked: (uid: string, generation: number) => boolean | undefined
  readonly exchange: (credentials: BasicCredentials, access: readonly Access[] | null) => Promise<Exchanged>
  readonly forget: (credentials: BasicCredentials, access: readonly Access[] | null) => void
}

export interface BasicCredentials {
  readonly username: string
  readonly password: string
  readonly address: string
}

/**
 * Finds out who asks. Basic credentials are exchanged for a token with the access that the request could use
 * (null: for an identity token); from there on both kinds are one.
 */
export async function authenticate(
  ports: AuthenticatePorts,
  credentials: Credentials,
  address: string,
  access: readonly Access[] | null,
): Promise<Authenticated> {
  switch (credentials.kind) {
    case 'none':
    case 'malformed':
      return { outcome: 'refused' }
    case 'bearer':
      return judge(ports, credentials.token)
    case 'basic': {
      const { username, password } = credentials
      const basic = { username, password, address }
      const first = await exchangeAndJudge(ports, basic, access)
      if (first.outcome !== 'refused' || first.error === undefined) return first
      // A remembered token may have died since. The credentials may still be good.
      ports.forget(basic, access)
      return exchangeAndJudge(ports, basic, access)
    }
  }
}

async function exchangeAndJudge(
  ports: AuthenticatePorts,
  basic: BasicCredentials,
  access: readonly Access[] | null,
): Promise<Authenticated> {
  const exchanged = await ports.exchange(basic, access)
  return exchanged.outcome === 'issued' ? judge(ports, exchanged.token) : exchanged
}

async function judge({ verifyToken, isRevoked }: AuthenticatePorts, token: string): Promise<Authenticated> {
  const claims = await verifyToken(token)
  // A service's token names no account. It is not for the public side.
  if (claims?.uid === undefined || claims.gen === undefined)
    return { outcome: 'refused', error: 'invalid_token' }
  const revoked = isRevoked(claims.uid, claims.gen)
  if (revoked === undefined) return { outcome: 'unknown' }
  if (revoked) return { outcome: 'refused', error: 'invalid_token' }
  const { uid, access } = claims
  const principal = claims.offline === true ? ({ uid, access, offline: true } as const) : { uid, access }
  return { outcome: 'principal', principal, token }
}
