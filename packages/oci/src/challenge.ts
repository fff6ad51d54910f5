import type { Access } from './access.ts'
import { formatScope } from './access.ts'

export interface BearerChallenge {
  /** URL of the token endpoint. */
  readonly realm: string
  readonly service: string
  /** The access that a token needs; left out if any valid token is enough. */
  readonly required?: readonly Access[]
  readonly error?: 'insufficient_scope' | 'invalid_token'
}

/**
 * Formats a `WWW-Authenticate` value that sends clients to the token endpoint. All access is in one `scope` parameter,
 * because clients use only one of several.
 * Source: RFC 6750 §3; distribution, "Docker Registry v2 authentication via central service".
 */
export function formatBearerChallenge({ realm, service, required = [], error }: BearerChallenge): string {
  const parameters = [`realm="${realm}"`, `service="${service}"`]
  if (required.length > 0) parameters.push(`scope="${formatScope(required)}"`)
  if (error !== undefined) parameters.push(`error="${error}"`)
  return `Bearer ${parameters.join(',')}`
}
