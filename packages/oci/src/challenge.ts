import type { Access } from './access.ts'
import { formatScope } from './access.ts'

export interface BearerChallenge {
  /** URL of the token endpoint. */
  readonly realm: string
  readonly service: string
  /** What a token would have to carry; left out when any token will do. */
  readonly required?: readonly Access[]
  readonly error?: 'insufficient_scope' | 'invalid_token'
}

/**
 * A `WWW-Authenticate` value that sends clients to the token endpoint. All access is put in one quoted
 * `scope`, because clients keep only one of several.
 * Source: RFC 6750 §3; distribution, "Docker Registry v2 authentication via central service".
 */
export function formatBearerChallenge({ realm, service, required = [], error }: BearerChallenge): string {
  const parameters = [`realm="${realm}"`, `service="${service}"`]
  if (required.length > 0) parameters.push(`scope="${formatScope(required)}"`)
  if (error !== undefined) parameters.push(`error="${error}"`)
  return `Bearer ${parameters.join(',')}`
}
