import type { RequestPrincipal } from '@registry-manager/http'
import type { Conditions, PrincipalRights } from '@registry-manager/principal'
import type { Account } from './account.ts'
import type { PersonalTokenPrincipal } from './personal-token.ts'
import type { RegistryToken } from './registry-token.ts'
import { isPast } from './registry-token.ts'
import type { Workload } from './workload.ts'

/** The principal of the actions that auth-service takes by itself, for events. */
export const AUTH_SERVICE: RequestPrincipal = { kind: 'service', id: null, name: 'auth-service' }

/** The principal of a request without valid credentials. */
export const ANONYMOUS: RequestPrincipal = { kind: 'anonymous', id: null, name: null }

/** The user, personal token, registry token or workload that a request acts for. */
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

/** Whether a string has the form of the ids of accounts and tokens. Postgres refuses any other string. */
export function isId(text: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)
}

/** The conditions of the personal token or registry token that acts; undefined for none. */
export function conditionsOf(principal: AccountPrincipal): Conditions | undefined {
  if (isPersonalToken(principal)) return principal.via.conditions
  return isRegistryToken(principal) ? principal.conditions : undefined
}

/** The rights of a principal. A personal token has those of its owner, within its scopes and conditions. */
export function rightsOfPrincipal(principal: AccountPrincipal): PrincipalRights {
  if (!isPersonalToken(principal)) return principal
  const { scopes, conditions } = principal.via
  return { ...principal, ...(scopes && { limitedTo: scopes }), ...(conditions && { conditions }) }
}

/** A principal as events and logs name it: for a personal token, the owner and the token. */
export function namedPrincipal(principal: AccountPrincipal): RequestPrincipal {
  const { id } = principal
  if (isWorkload(principal)) return { kind: 'workload', id, name: principal.name }
  const { username: name } = principal
  if (!isPersonalToken(principal)) return { kind: isUser(principal) ? 'user' : 'registry-token', id, name }
  return { kind: 'personal-token', id, name, via: { id: principal.via.id, name: principal.via.name } }
}
