import type { Access } from '@registry-manager/oci'
import { parseScopes } from '@registry-manager/oci'

/** What a client asks the token endpoint for. */
export interface TokenRequest {
  readonly service: string | undefined
  /** Null when no scope was asked for: then an identity token is meant. */
  readonly scopes: readonly Access[] | null
  readonly offline: boolean
  readonly clientId: string
  /** An OAuth2 POST brings its credentials in the body. */
  readonly grant?:
    | { readonly type: 'password'; readonly username: string; readonly password: string }
    | { readonly type: 'refresh_token'; readonly refreshToken: string }
}

export type ParsedTokenRequest =
  | { readonly request: TokenRequest }
  | { readonly field: string; readonly detail: string }

/** Of more scopes than these the first count. Source: RFC 6749 §3.3, a server may ignore scopes. */
const MAX_SCOPES = 100

/**
 * Parses the query of a GET. Source: distribution, "Requesting a Token". Unknown parameters are ignored, and so are those
 * without a value (RFC 6749 §3.1).
 */
export function parseTokenQuery(query: URLSearchParams): ParsedTokenRequest {
  const offline = query.get('offline_token') === 'true' || query.get('offline_token') === '1'
  return withScopes(query, { offline, clientId: query.get('client_id') ?? '' })
}

/** Parses the form of a POST. Source: distribution, "Docker Registry v2 OAuth2"; RFC 6749 §4.3 and §6. */
export function parseTokenForm(form: URLSearchParams): ParsedTokenRequest {
  const offline = form.get('access_type') === 'offline'
  const clientId = form.get('client_id') ?? ''
  const [username, password] = [valueOf(form, 'username'), valueOf(form, 'password')]
  const refreshToken = valueOf(form, 'refresh_token')
  switch (valueOf(form, 'grant_type')) {
    case 'password':
      if (username === undefined) return { field: 'username', detail: 'is required with grant_type=password' }
      if (password === undefined) return { field: 'password', detail: 'is required with grant_type=password' }
      return withScopes(form, { offline, clientId, grant: { type: 'password', username, password } })
    case 'refresh_token':
      if (refreshToken === undefined)
        return { field: 'refresh_token', detail: 'is required with grant_type=refresh_token' }
      return withScopes(form, { offline, clientId, grant: { type: 'refresh_token', refreshToken } })
    default:
      return { field: 'grant_type', detail: 'must be password or refresh_token' }
  }
}

/**
 * Whether a requested service is the one that tokens are made for. One written as a URL is its host.
 * `accepted` holds the service and its aliases.
 */
export function isAcceptedService(service: string | undefined, accepted: readonly string[]): boolean {
  if (service === undefined) return true
  return accepted.includes(service.replace(/^https?:\/\//, '').replace(/\/$/, ''))
}

function withScopes(
  parameters: URLSearchParams,
  rest: Pick<TokenRequest, 'offline' | 'clientId' | 'grant'>,
): ParsedTokenRequest {
  const scopes = parseScopes(parameters.getAll('scope'))
  return {
    request: {
      service: valueOf(parameters, 'service'),
      scopes: scopes && scopes.slice(0, MAX_SCOPES),
      ...rest,
    },
  }
}

/** A parameter's value; one without a value counts as left out. Source: RFC 6749 §3.1. */
function valueOf(parameters: URLSearchParams, name: string): string | undefined {
  return parameters.get(name) || undefined
}
