import type { Access } from '@registry-manager/oci'
import { permits, permittedByScopes, repositoryAccess, tagMatches } from '@registry-manager/oci'
import type { ConditionContext, Conditions, PrincipalRights } from '@registry-manager/principal'
import { decideAccess } from '@registry-manager/principal'
import type { RepositoryScope } from '../index/repository.ts'

/** The rights of the principal that sends a request to image management, and the access of its token. */
export interface RequestRights {
  readonly rights: PrincipalRights
  /** The client's address and the time, with which the conditions of grants are compared. */
  readonly context: ConditionContext
  /** The access of the token; null for an identity token or a password, which have all rights of the principal. */
  readonly access: readonly Access[] | null
}

/** The actions of requests on one repository. */
export type Action = 'get' | 'set-scope' | 'delete'

/**
 * `forbidden`: the principal sees the repository but may not do this. `insufficient`: the principal may, but the token
 * has less access than the action needs.
 */
export type Verdict = 'allowed' | 'forbidden' | 'insufficient' | 'not-visible'

/** Decides whether a principal may act on a repository. `scope` is undefined if there is no such repository. */
export function authorize(
  requestRights: RequestRights,
  action: Action,
  repository: string,
  scope: RepositoryScope | undefined,
): Verdict {
  const { rights, access, context } = requestRights
  const decision = decideAccess(rights, repository, { ...context, isGlobal: scope === 'global' })
  const isUser = 'role' in rights
  const isAdministrator = isUser && rights.role !== 'user'
  const limits = 'limitedTo' in rights ? permittedByScopes(rights.limitedTo ?? [], repository) : undefined
  const mayPull = limits === undefined || limits.includes('pull')
  const sees = scope !== undefined && mayPull && (isAdministrator || decision.pull.allowed)
  if (!sees || !reveals(requestRights, repository)) return 'not-visible'
  if (action === 'get') return permitsAny(access, repository, 'pull') ? 'allowed' : 'insufficient'
  // A registry token changes images only through the registry API.
  if (!isUser || !(isAdministrator || decision.delete.allowed)) return 'forbidden'
  // A personal token with scopes changes images only as far as its scopes permit it by name.
  if (limits !== undefined && !(action === 'delete' && limits.includes('delete'))) return 'forbidden'
  if (action === 'delete') return permitsAny(access, repository, 'delete') ? 'allowed' : 'insufficient'
  return access === null ? 'allowed' : 'insufficient'
}

/** Whether a token may reveal a repository to its principal: it has pull or delete there, or may list repositories. */
function reveals(requestRights: RequestRights, repository: string): boolean {
  return permitsAny(requestRights.access, repository, 'pull', 'delete') || mayList(requestRights)
}

/** Whether a principal may list repositories: a token with restricted access needs `registry:catalog:*`. */
export function mayList({ access }: RequestRights): boolean {
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
  { rights, access, context }: RequestRights,
  repository: string,
  tag: string,
): 'allowed' | 'forbidden' | 'insufficient' {
  if (!('role' in rights)) return 'forbidden'
  const { because } = decideAccess(rights, repository, context).push
  const permits = ({ tags }: Conditions = {}) => tags === undefined || tagMatches(tags, tag)
  const isPermitted = permits(rights.conditions) && because.some(({ conditions }) => permits(conditions))
  if (!isPermitted) return 'forbidden'
  return access === null ? 'allowed' : 'insufficient'
}
