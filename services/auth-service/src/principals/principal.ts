import type { RequestPrincipal } from '@registry-manager/http'
import type { Account } from './account.ts'
import type { PersonalTokenPrincipal } from './personal-token.ts'
import type { RegistryToken } from './registry-token.ts'
import { isPast } from './registry-token.ts'
import type { Workload } from './workload.ts'

/** The principal of what auth-service does by itself, as events name it. */
export const AUTH_SERVICE: RequestPrincipal = { kind: 'service', id: null, name: 'auth-service' }

/** The principal of a request without valid credentials. */
export const NOBODY: RequestPrincipal = { kind: 'anonymous', id: null, name: null }

/** The user, registry token or workload that a request acts for; for a personal token, its owner. */
export type AccountPrincipal = Account | PersonalTokenPrincipal | RegistryToken | Workload

/** Whether a principal is a user, or a personal token that acts for one. */
export function isUser(principal: AccountPrincipal): principal is Account | PersonalTokenPrincipal {
  return 'role' in principal
}

export function isWorkload(principal: AccountPrincipal): principal is Workload {
  return 'rules' in principal
}

export function isRegistryToken(principal: AccountPrincipal): principal is RegistryToken {
  return !isUser(principal) && !isWorkload(principal)
}

export function isPersonalToken(principal: AccountPrincipal): principal is PersonalTokenPrincipal {
  return 'via' in principal
}

/** Whether a principal may act: its account is enabled, and a registry token or personal token has not expired. */
export function isActive(principal: AccountPrincipal, nowMs: number): boolean {
  if (isRegistryToken(principal)) return principal.enabled && !isPast(principal.expiresAt, nowMs)
  return principal.enabled && !(isPersonalToken(principal) && isPast(principal.via.expiresAt, nowMs))
}

/** A principal as events and logs name it: for a personal token, the owner and the token. */
export function namedPrincipal(principal: AccountPrincipal): RequestPrincipal {
  const { id } = principal
  if (isWorkload(principal)) return { kind: 'workload', id, name: principal.name }
  const { username: name } = principal
  if (!isPersonalToken(principal)) return { kind: isUser(principal) ? 'user' : 'registry-token', id, name }
  return { kind: 'personal-token', id, name, via: { id: principal.via.id, name: principal.via.name } }
}
