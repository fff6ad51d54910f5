import type { RequestPrincipal } from '@registry-manager/http'
import type { Account } from './account.ts'
import type { RegistryToken } from './registry-token.ts'
import { isPast } from './registry-token.ts'
import type { Workload } from './workload.ts'

/** The principal of what auth-service does by itself, as events name it. */
export const AUTH_SERVICE: RequestPrincipal = { kind: 'service', id: null, name: 'auth-service' }

/** The principal of a request without valid credentials. */
export const NOBODY: RequestPrincipal = { kind: 'anonymous', id: null, name: null }

/** The user, registry token or workload that a request acts for. */
export type AccountPrincipal = Account | RegistryToken | Workload

export function isUser(principal: AccountPrincipal): principal is Account {
  return 'role' in principal
}

export function isWorkload(principal: AccountPrincipal): principal is Workload {
  return 'rules' in principal
}

export function isRegistryToken(principal: AccountPrincipal): principal is RegistryToken {
  return !isUser(principal) && !isWorkload(principal)
}

/** Whether a principal may act: its account is enabled, and a registry token has not expired. */
export function isActive(principal: AccountPrincipal, nowMs: number): boolean {
  return principal.enabled && !(isRegistryToken(principal) && isPast(principal.expiresAt, nowMs))
}

/** A principal as events and logs name it. */
export function namedPrincipal(principal: AccountPrincipal): RequestPrincipal {
  const { id } = principal
  if (isWorkload(principal)) return { kind: 'workload', id, name: principal.name }
  return { kind: isUser(principal) ? 'user' : 'registry-token', id, name: principal.username }
}
