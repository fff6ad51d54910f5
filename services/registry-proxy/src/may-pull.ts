import { namespaceCovers, permittedByScopes } from '@registry-manager/oci'
import type { AccountFacts } from '@registry-manager/principal'

/**
 * Whether an account may pull from a repository by its own rights, whatever its token permits. Access that it has only
 * because the repository is global is not considered.
 */
export function mayPull(account: AccountFacts, repository: string): boolean {
  if (account.kind === 'token') return permittedByScopes(account.scopes, repository).includes('pull')
  if (account.role === 'cluster-administrator') return true
  return account.namespaces.some((namespace) => namespaceCovers(namespace, repository))
}
