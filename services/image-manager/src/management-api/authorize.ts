import type { Access } from '@registry-manager/oci'
import { permits, permittedByScopes, repositoryAccess, tagMatches } from '@registry-manager/oci'
import type { ConditionContext, Conditions, PrincipalRights } from '@registry-manager/principal'
import { decideAccess } from '@registry-manager/principal'
import type { RepositoryScope } from '../index/repository.ts'

/** The account that sends a request to image management, and the access of its token. */
export interface AuthenticatedAccount {
  readonly account: PrincipalRights
  /** The client's address and the time, with which the conditions of grants are compared. */
  readonly context: ConditionContext
  /** The access of the token; null for an identity token or a password, which have all rights of the account. */
  readonly access: readonly Access[] | null
}

/** The actions of requests on one repository. */
export type Action = 'get' | 'set-scope' | 'delete'

/**
 * `forbidden`: the account sees the repository but may not do this. `insufficient`: the account may, but the token has
 * less access than the action needs.
 */
export type Verdict = 'allowed' | 'forbidden' | 'insufficient' | 'not-visible'

/** Decides whether a principal may act on a repository. `scope` is undefined if there is no such repository. */
export function authorize(
  principal: AuthenticatedAccount,
  action: Action,
  repository: string,
  scope: RepositoryScope | undefined,
): Verdict {
  const { account, access, context } = principal
  const decision = decideAccess(account, repository, { ...context, isGlobal: scope === 'global' })
  const isUser = 'role' in account
  const isAdministrator = isUser && account.role !== 'user'
  const limits = 'limitedTo' in account ? permittedByScopes(account.limitedTo ?? [], repository) : undefined
  const mayPull = limits === undefined || limits.includes('pull')
  const sees = scope !== undefined && mayPull && (isAdministrator || decision.pull.allowed)
  if (!sees || !reveals(principal, repository)) return 'not-visible'
  if (action === 'get') return permitsAny(access, repository, 'pull') ? 'allowed' : 'insufficient'
  // A registry token changes images only through the registry API.
  if (!isUser || !(isAdministrator || decision.delete.allowed)) return 'forbidden'
  // A personal token with scopes changes images only as far as its scopes permit it by name.
  if (limits !== undefined && !(action === 'delete' && limits.includes('delete'))) return 'forbidden'
  if (action === 'delete') return permitsAny(access, repository, 'delete') ? 'allowed' : 'insufficient'
  return access === null ? 'allowed' : 'insufficient'
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

/**
 * Decides whether a principal may push a tag through image management. A registry token pushes only through the
 * registry API.
 */
export function mayPushTag(
  { account, access, context }: AuthenticatedAccount,
  repository: string,
  tag: string,
): 'allowed' | 'forbidden' | 'insufficient' {
  if (!('role' in account)) return 'forbidden'
  const { because } = decideAccess(account, repository, context).push
  const permits = ({ tags }: Conditions = {}) => tags === undefined || tagMatches(tags, tag)
  const isPermitted = permits(account.conditions) && because.some(({ conditions }) => permits(conditions))
  if (!isPermitted) return 'forbidden'
  return access === null ? 'allowed' : 'insufficient'
}
