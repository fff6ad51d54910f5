import type { Access } from '@registry-manager/oci'
import { parseScopes } from '@registry-manager/oci'

/** A request to the token endpoint. */
export interface TokenRequest {
  readonly service: string | undefined
  /** Null without a scope parameter: the client requests an identity token. */
  readonly scopes: readonly Access[] | null
  /** Whether the client requests a refresh token. */
  readonly offline: boolean
  readonly clientId: string
  /** The credentials of an OAuth2 POST. */
  readonly grant?:
    | { readonly type: 'password'; readonly username: string; readonly password: string }
    | { readonly type: 'refresh_token'; readonly refreshToken: string }
}

export type ParsedTokenRequest =
  | { readonly request: TokenRequest }
  | { readonly field: string; readonly detail: string }

/** Further scopes are ignored, as RFC 6749 §3.3 allows. */
const MAX_SCOPES = 100

/**
 * Parses the query of a GET. Unknown parameters, and those without a value, are ignored (RFC 6749 §3.1).
 * Source: distribution, "Requesting a Token".
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
 * Whether a requested service is the one that access tokens are made for. `accepted` has the service and its aliases.
 * If the requested service is a URL, its host is compared.
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

/** A parameter's value; an empty one counts as absent. Source: RFC 6749 §3.1. */
function valueOf(parameters: URLSearchParams, name: string): string | undefined {
  return parameters.get(name) || undefined
}
