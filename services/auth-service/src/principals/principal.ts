import type { Account } from './account.ts'
import type { RegistryToken } from './registry-token.ts'
import { isPast } from './registry-token.ts'

/** The user or registry token that a request acts for. */
export type AccountPrincipal = Account | RegistryToken

export function isRegistryToken(principal: AccountPrincipal): principal is RegistryToken {
  return 'scopes' in principal
}

/** Whether a principal may act: its account is enabled, and a registry token has not expired. */
export function isActive(principal: AccountPrincipal, nowMs: number): boolean {
  return principal.enabled && !(isRegistryToken(principal) && isPast(principal.expiresAt, nowMs))
}
