import type { Dependency, RequestPrincipal } from '@registry-manager/http'
import type { Access } from '@registry-manager/oci'
import { isInNetworks } from './conditions.ts'
import type { Credentials } from './credentials.ts'
import type { Principal } from './principal.ts'
import { ANONYMOUS_UID } from './principal.ts'
import type { IsRevoked } from './revoked-token.ts'
import { isTokenRevoked } from './revoked-token.ts'
import type { TokenClaims } from './token-verifier.ts'

export type AuthenticationResult =
  | {
      readonly outcome: 'principal'
      readonly principal: Principal
      readonly token: string
      readonly requestPrincipal: RequestPrincipal
    }
  /**
   * `error`: the error of a refused token, for clients that sent one. `reason`: the reason why a right password is
   * refused.
   */
  | { readonly outcome: 'refused'; readonly error?: 'invalid_token'; readonly reason?: string }
  | { readonly outcome: 'throttled'; readonly retryAfterSeconds: number }
  /** The credentials cannot be verified without this dependency. */
  | { readonly outcome: 'unavailable'; readonly dependency: Dependency }
  /** The revocation list has not been loaded yet. */
  | { readonly outcome: 'unknown' }

export type ExchangeResult =
  | { readonly outcome: 'issued'; readonly token: string }
  | { readonly outcome: 'refused'; readonly reason?: string }
  | { readonly outcome: 'throttled'; readonly retryAfterSeconds: number }
  | { readonly outcome: 'unavailable'; readonly dependency: Dependency }

export interface AuthenticatePorts {
  readonly verifyToken: (token: string) => Promise<TokenClaims | undefined>
  readonly isRevoked: IsRevoked
  readonly exchange: (
    credentials: BasicCredentials,
    access: readonly Access[] | null,
  ) => Promise<ExchangeResult>
  readonly forget: (credentials: BasicCredentials, access: readonly Access[] | null) => void
}

export interface BasicCredentials {
  readonly username: string
  readonly password: string
  /** The client's IP address: failed sign-ins are limited per address. */
  readonly address: string
}

/**
 * Finds the principal of a request. Basic credentials are exchanged for an access token with the access that the
 * request needs (null: for an identity token), which is then verified like a client's own token.
 */
export async function authenticate(
  ports: AuthenticatePorts,
  credentials: Credentials,
  address: string,
  access: readonly Access[] | null,
): Promise<AuthenticationResult> {
  switch (credentials.kind) {
    case 'none':
    case 'malformed':
      return { outcome: 'refused' }
    case 'bearer':
      return authenticateToken(ports, credentials.token, address)
    case 'basic': {
      const { username, password } = credentials
      const basic = { username, password, address }
      const first = await authenticateBasic(ports, basic, access)
      if (first.outcome !== 'refused' || first.error === undefined) return first
      // A cached token may have been revoked since. The credentials may still be valid.
      ports.forget(basic, access)
      return authenticateBasic(ports, basic, access)
    }
  }
}

async function authenticateBasic(
  ports: AuthenticatePorts,
  basic: BasicCredentials,
  access: readonly Access[] | null,
): Promise<AuthenticationResult> {
  const exchanged = await ports.exchange(basic, access)
  return exchanged.outcome === 'issued' ? authenticateToken(ports, exchanged.token, basic.address) : exchanged
}

async function authenticateToken(
  { verifyToken, isRevoked }: AuthenticatePorts,
  token: string,
  address: string,
): Promise<AuthenticationResult> {
  const claims = await verifyToken(token)
  // A service's own token names no account. It is valid at the registry only.
  if (claims?.uid === undefined || claims.gen === undefined) {
    return { outcome: 'refused', error: 'invalid_token' }
  }
  const { uid, gen, via, access, rules = [] } = claims
  const revoked = isTokenRevoked(isRevoked, { uid, gen, via })
  if (revoked === undefined) return { outcome: 'unknown' }
  if (revoked || rules.some(([id, generation]) => isRevoked(id, generation))) {
    return { outcome: 'refused', error: 'invalid_token' }
  }
  const principal = {
    uid,
    ...accessFrom(address, access),
    ...(via !== undefined && { via }),
    ...(rules.length > 0 && { rules: rules.map(([id]) => id) }),
    ...(claims.offline === true && { offline: true as const }),
  }
  return { outcome: 'principal', principal, token, requestPrincipal: namedPrincipal(claims, uid) }
}

function namedPrincipal({ sub, name = sub, kind, via, via_name }: TokenClaims, id: string): RequestPrincipal {
  if (id === ANONYMOUS_UID) return { kind: 'anonymous', id, name }
  const requestPrincipal = { kind: kind ?? ('user' as const), id, name }
  return via === undefined
    ? requestPrincipal
    : { ...requestPrincipal, via: { id: via, name: via_name ?? '' } }
}

/** Separates the access that counts for a client with this address from the access that does not. */
function accessFrom(
  address: string,
  access: readonly Access[] | null,
): Pick<Principal, 'access' | 'elsewhere'> {
  // Nearly no access is limited to networks.
  if (access === null || access.every(({ networks }) => networks === undefined)) return { access }
  const isHere = ({ networks }: Access) => networks === undefined || isInNetworks(networks, address)
  return { access: access.filter(isHere), elsewhere: access.filter((entry) => !isHere(entry)) }
}

/** The message for credentials that are throttled after failed sign-ins. */
export function describeThrottled(retryAfterSeconds: number): string {
  return `too many failed sign-ins; retry in ${retryAfterSeconds} ${retryAfterSeconds === 1 ? 'second' : 'seconds'}`
}
