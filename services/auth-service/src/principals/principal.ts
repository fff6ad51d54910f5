import type { RequestPrincipal } from '@registry-manager/http'
import type { Account } from './account.ts'
import type { RegistryToken } from './registry-token.ts'
import { isPast } from './registry-token.ts'

/** The principal of what auth-service does by itself, as events name it. */
export const AUTH_SERVICE: RequestPrincipal = { kind: 'service', id: null, name: 'auth-service' }

/** The principal of a request without valid credentials. */
export const NOBODY: RequestPrincipal = { kind: 'anonymous', id: null, name: null }

/** The user or registry token that a request acts for. */
export type AccountPrincipal = Account | RegistryToken

export function isRegistryToken(principal: AccountPrincipal): principal is RegistryToken {
  return 'scopes' in principal
}

/** Whether a principal may act: its account is enabled, and a registry token has not expired. */
export function isActive(principal: AccountPrincipal, nowMs: number): boolean {
  return principal.enabled && !(isRegistryToken(principal) && isPast(principal.expiresAt, nowMs))
}

/** A principal as events and logs name it. */
export function namedPrincipal(principal: AccountPrincipal): RequestPrincipal {
  const kind = isRegistryToken(principal) ? 'registry-token' : 'user'
  return { kind, id: principal.id, name: principal.username }
}
