import type { Access, RepositoryAction } from '@registry-manager/oci'
import { isBelow, isNested } from '@registry-manager/oci'
import type { ConditionContext, Conditions } from './conditions.ts'
import { conditionFault } from './conditions.ts'
import type { Role } from './principal.ts'

/** The roles of grants, each with more rights than the one before. */
export const GRANT_ROLES = ['reader', 'developer', 'maintainer', 'owner'] as const
export type GrantRole = (typeof GRANT_ROLES)[number]

/** The actions on repositories that each role permits. An owner also manages the namespace. */
export const ACTIONS_OF_ROLE: Readonly<Record<GrantRole, readonly RepositoryAction[]>> = {
  reader: ['pull'],
  developer: ['pull', 'push'],
  maintainer: ['pull', 'push', 'delete'],
  owner: ['pull', 'push', 'delete'],
}

/** A grant that counts for an account: its own, or one of a group that it is a member of. */
export interface EffectiveGrant {
  readonly id: string
  /** A repository pattern. */
  readonly repositories: string
  /** Absent if the grant lists actions instead. */
  readonly role?: GrantRole
  readonly actions: readonly RepositoryAction[]
  readonly conditions?: Conditions
  /** The name of the group that has the grant; absent if the account itself has it. */
  readonly group?: string
}

/** Limits of everything that a credential permits. */
interface CredentialLimits {
  /** The conditions of the personal token or registry token that acts. Nothing is allowed unless they hold. */
  readonly conditions?: Conditions
}

/** The rights of a user. */
export interface UserRights extends CredentialLimits {
  readonly role: Role
  /** Each is shorthand for all actions on the repositories that it covers. */
  readonly namespaces: readonly string[]
  readonly grants?: readonly EffectiveGrant[]
  /** The scopes of a personal token that acts for the user. It permits nothing beyond them. Absent without limits. */
  readonly limitedTo?: readonly Access[]
}

/** The rights of a registry token. The names in its scopes are repository patterns. */
export interface ScopedRights extends CredentialLimits {
  readonly scopes: readonly Access[]
  readonly grants?: readonly EffectiveGrant[]
}

export type PrincipalRights = UserRights | ScopedRights

/**
 * Whether a principal manages a namespace: its grants, trust rules and policies. Cluster administrators do, and
 * administrators of a namespace that covers it, and owners of all repositories below it. A registry token manages
 * nothing, and neither does a personal token with scopes.
 */
export function mayManageNamespace(
  rights: PrincipalRights,
  namespace: string,
  context: ConditionContext,
): boolean {
  if (!('role' in rights) || rights.limitedTo !== undefined) return false
  if (conditionFault(rights.conditions ?? {}, context) !== undefined) return false
  if (rights.role === 'cluster-administrator') return true
  const isOwn = (own: string) => own === namespace || isBelow(own, namespace)
  if (rights.role === 'administrator' && rights.namespaces.some(isOwn)) return true
  return (rights.grants ?? []).some(
    ({ role, repositories, conditions = {} }) =>
      role === 'owner' &&
      coversNamespace(repositories, namespace) &&
      conditionFault(conditions, context) === undefined,
  )
}

/** Whether a repository pattern covers all repositories below a namespace, such as `team/*` those of `team/app`. */
function coversNamespace(pattern: string, namespace: string): boolean {
  return pattern === '*' || (pattern.endsWith('/*') && `${namespace}/`.startsWith(pattern.slice(0, -1)))
}

/** The patterns of the repositories that a namespace covers. */
export function patternsOfNamespace(namespace: string): string[] {
  return isNested(namespace) ? [namespace, `${namespace}/*`] : [`${namespace}/*`]
}
