import { badField } from '@registry-manager/http'
import type { Access } from '@registry-manager/oci'
import { parseScopes } from '@registry-manager/oci'
import { parseJsonWebToken } from '../principals/json-web-token.ts'
import type { TokenForm, TokenQuery } from './token-schemas.ts'
import type { DEVICE_CODE } from './token-schemas.ts'
import { TOKEN_EXCHANGE } from './token-schemas.ts'

/** A request to the token endpoint. */
export interface TokenRequest {
  readonly service: string | undefined
  /** Null without a scope parameter: the client requests an identity token. */
  readonly scopes: readonly Access[] | null
  /** Whether the client requests a refresh token. */
  readonly requestsRefreshToken: boolean
  readonly clientId: string
  /** The credentials of an OAuth2 POST. */
  readonly grant?:
    | { readonly type: 'password'; readonly username: string; readonly password: string }
    | { readonly type: 'refresh_token'; readonly refreshToken: string }
    | { readonly type: 'token-exchange'; readonly subjectToken: string }
}

/** Devices get no access tokens: `device-flow` handles their requests. */
export type GrantForm = Exclude<TokenForm, { grant_type: typeof DEVICE_CODE }>

/** Further scopes are ignored, as RFC 6749 §3.3 allows. */
const MAX_SCOPES = 100

/**
 * Reads the parameters of a query or a form. A parameter without a value counts as absent. Refuses one that is given
 * twice (RFC 6749 §3.2), except `scope`, which has all its values, and NUL, which Postgres does not accept in strings.
 */
export function readParameters(parameters: URLSearchParams): Record<string, unknown> {
  const given = [...parameters].filter(([name, value]) => value !== '' && name !== 'scope')
  const single = new Map<string, string>()
  for (const [name, value] of given) {
    if (single.has(name)) throw badField({ field: name, detail: 'is given twice' })
    if (value.includes('\0')) throw badField({ field: name, detail: 'must not contain NUL' })
    single.set(name, value)
  }
  const scope = parameters.getAll('scope').filter((value) => value !== '')
  return { ...Object.fromEntries(single), ...(scope.length > 0 && { scope }) }
}

/** The token request of a GET. Source: distribution, "Requesting a Token". */
export function fromTokenQuery({ service, scope, offline_token, client_id = '' }: TokenQuery): TokenRequest {
  const requestsRefreshToken = offline_token === 'true' || offline_token === '1'
  return { service, scopes: scopesOf(scope), requestsRefreshToken, clientId: client_id }
}

/** The token request of a POST. Source: distribution, "Docker Registry v2 OAuth2"; RFC 6749 §4.3, §6; RFC 8693. */
export function fromTokenForm(form: GrantForm): TokenRequest {
  const { service, scope, access_type, client_id = '' } = form
  return {
    service: service ?? ('audience' in form ? form.audience : undefined),
    scopes: scopesOf(scope),
    requestsRefreshToken: access_type === 'offline',
    clientId: client_id,
    grant: grantOf(form),
  }
}

function grantOf(form: GrantForm): TokenRequest['grant'] {
  switch (form.grant_type) {
    case 'password':
      return { type: 'password', username: form.username, password: form.password }
    case 'refresh_token':
      return { type: 'refresh_token', refreshToken: form.refresh_token }
    case TOKEN_EXCHANGE:
      if (parseJsonWebToken(form.subject_token) === undefined) {
        throw badField({ field: 'subject_token', detail: 'must be a JSON Web Token in compact form' })
      }
      return { type: 'token-exchange', subjectToken: form.subject_token }
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

function scopesOf(given: readonly string[] = []): readonly Access[] | null {
  const scopes = parseScopes(given)
  return scopes && scopes.slice(0, MAX_SCOPES)
}
