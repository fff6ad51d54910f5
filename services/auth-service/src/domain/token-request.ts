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

const MAX_SCOPES = 100

/** Parses the query of a GET. Source: distribution, "Requesting a Token". Unknown parameters are ignored. */
export function parseTokenQuery(query: URLSearchParams): ParsedTokenRequest {
  const offline = query.get('offline_token') === 'true' || query.get('offline_token') === '1'
  return withScopes(query, { offline, clientId: query.get('client_id') ?? '' })
}

/** Parses the form of a POST. Source: distribution, "Docker Registry v2 OAuth2"; RFC 6749 §4.3 and §6. */
export function parseTokenForm(form: URLSearchParams): ParsedTokenRequest {
  const offline = form.get('access_type') === 'offline'
  const clientId = form.get('client_id') ?? ''
  const [username, password] = [form.get('username'), form.get('password')]
  const refreshToken = form.get('refresh_token')
  switch (form.get('grant_type')) {
    case 'password':
      if (username === null) return { field: 'username', detail: 'is required with grant_type=password' }
      if (password === null) return { field: 'password', detail: 'is required with grant_type=password' }
      return withScopes(form, { offline, clientId, grant: { type: 'password', username, password } })
    case 'refresh_token':
      if (!refreshToken)
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
  const parsed = parseScopes(parameters.getAll('scope'))
  if ('malformed' in parsed) {
    const detail = `"${parsed.malformed}" is not a scope: type:name:action[,action] is`
    return { field: 'scope', detail }
  }
  if (parsed.scopes.length > MAX_SCOPES)
    return { field: 'scope', detail: `at most ${MAX_SCOPES} are answered` }
  const scopes = parsed.scopes.length === 0 ? null : parsed.scopes
  return { request: { service: parameters.get('service') ?? undefined, scopes, ...rest } }
}
