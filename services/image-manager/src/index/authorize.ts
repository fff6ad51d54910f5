import type { Access } from '@registry-manager/oci'
import { namespaceCovers, permits, permittedByScopes, repositoryAccess } from '@registry-manager/oci'
import type { RepositoryScope } from './repository.ts'
import type { Account, RegistryTokenAccount } from './visibility.ts'

/** The account that sends a request to image management, and what its token permits. */
export interface AuthenticatedAccount {
  readonly account: Account
  /** The access of the token; null for an identity token or a password, which have all rights of the account. */
  readonly access: readonly Access[] | null
}

/** What a request does to one repository. */
export type Action = 'get' | 'set-scope' | 'delete'

/**
 * `forbidden`: the account sees the repository but may not do this. `insufficient`: the account may, but the token has
 * less access than the action needs.
 */
export type Verdict = 'allowed' | 'forbidden' | 'insufficient' | 'not-visible'

/** Decides whether a principal may act on a repository. `scope` is undefined if there is no such repository. */
export function authorize(
  { account, access }: AuthenticatedAccount,
  action: Action,
  repository: string,
  scope: RepositoryScope | undefined,
): Verdict {
  if ('scopes' in account) return authorizeToken({ account, access }, action, repository, scope)
  const isOwn = account.namespaces.some((namespace) => namespaceCovers(namespace, repository))
  const isAdministrator = account.role !== 'user'
  const sees = scope !== undefined && (isAdministrator || isOwn || scope === 'global')
  if (!sees || !reveals({ account, access }, repository)) return 'not-visible'
  if (action === 'get') return permitsAny(access, repository, 'pull') ? 'allowed' : 'insufficient'
  if (!isAdministrator && !isOwn) return 'forbidden'
  if (action === 'delete') return permitsAny(access, repository, 'delete') ? 'allowed' : 'insufficient'
  return access === null ? 'allowed' : 'insufficient'
}

/** A registry token sees what it may pull. It changes images only through the registry API. */
function authorizeToken(
  { account, access }: { account: RegistryTokenAccount; access: readonly Access[] | null },
  action: Action,
  repository: string,
  scope: RepositoryScope | undefined,
): Verdict {
  const sees = scope !== undefined && permittedByScopes(account.scopes, repository).includes('pull')
  if (!sees || !reveals({ account, access }, repository)) return 'not-visible'
  if (action !== 'get') return 'forbidden'
  return permitsAny(access, repository, 'pull') ? 'allowed' : 'insufficient'
}

/** Whether a token may reveal a repository of its account: it has pull or delete there, or it may list repositories. */
function reveals(principal: AuthenticatedAccount, repository: string): boolean {
  return permitsAny(principal.access, repository, 'pull', 'delete') || mayList(principal)
}

/** Whether a principal may list repositories: a token with restricted access needs `registry:catalog:*`. */
export function mayList({ access }: AuthenticatedAccount): boolean {
  return access === null || permits(access, { type: 'registry', name: 'catalog', actions: ['*'] })
}

function permitsAny(
  access: readonly Access[] | null,
  repository: string,
  ...actions: ('pull' | 'delete')[]
): boolean {
  return access === null || actions.some((action) => permits(access, repositoryAccess(repository, action)))
}
