import type { Account } from '../accounts/account.ts'
import type { RegistryToken } from '../registry-tokens/registry-token.ts'

/** The user or registry token that a request acts for. */
export type Principal = Account | RegistryToken

export function isRegistryToken(principal: Principal): principal is RegistryToken {
  return 'scopes' in principal
}
