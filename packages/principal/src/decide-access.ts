import type { Access, RepositoryAction } from '@registry-manager/oci'
import {
  REPOSITORY_ACTIONS,
  includesAction,
  intersectPatterns,
  isRepositoryName,
  patternCovers,
  permittedByScopes,
} from '@registry-manager/oci'
import type { ConditionContext, ConditionFault, Conditions } from './conditions.ts'
import { conditionFault } from './conditions.ts'
import type { EffectiveGrant, PrincipalRights } from './rights.ts'
import { patternsOfNamespace } from './rights.ts'

/** The source of a permission. */
export type Basis =
  | { readonly kind: 'role'; readonly role: 'cluster-administrator' }
  | { readonly kind: 'namespace'; readonly namespace: string }
  | { readonly kind: 'grant'; readonly grant: EffectiveGrant }
  /** A scope of a registry token. */
  | { readonly kind: 'scope'; readonly repositories: string }
  /** The repository is global: every user may pull it. */
  | { readonly kind: 'global' }

/** Actions that one right of a principal permits on the repositories of a pattern. */
export interface Permission {
  readonly basis: Basis
  /** Repository patterns. */
  readonly patterns: readonly string[]
  readonly actions: readonly RepositoryAction[]
  readonly conditions?: Conditions
}

/** Whether one action is allowed, and why. */
export interface ActionDecision {
  readonly allowed: boolean
  /** The permissions that allow the action. */
  readonly because: readonly Permission[]
  /** Permissions that would allow the action if their conditions held. */
  readonly failed: readonly { readonly permission: Permission; readonly fault: ConditionFault }[]
  /** The action is refused because the scopes of the personal token do not include it. Absent otherwise. */
  readonly isBeyondScopes?: true
  /** The action would be allowed if this condition of the personal or registry token held. Absent otherwise. */
  readonly tokenFault?: ConditionFault
}

export type AccessDecision = Readonly<Record<RepositoryAction, ActionDecision>>

export interface DecisionContext extends ConditionContext {
  /** Whether the repository is global. */
  readonly isGlobal?: boolean
}

/**
 * Decides which actions on a repository a principal may do. Everything that depends on rights calls this function: the
 * token endpoint, registry-proxy, image management and explanations; lists use `patternsThatAllow`, which a property
 * test compares with it. An action is allowed if at least one permission covers the repository, includes the action
 * (`push` includes `pull`), and its conditions hold. A personal token with scopes allows nothing beyond them. The
 * conditions of a token limit everything that it allows. Nothing is allowed on a name that is not a repository name.
 */
export function decideAccess(
  rights: PrincipalRights,
  repository: string,
  context: DecisionContext,
): AccessDecision {
  const covering = isRepositoryName(repository)
    ? permissionsOf(rights, (pattern) => patternCovers(pattern, repository), context.isGlobal)
    : []
  const judged = covering.map((permission) => ({
    permission,
    fault: conditionFault(permission.conditions ?? {}, context),
  }))
  const tokenFault = conditionFault(rights.conditions ?? {}, context)
  const limits = limitsOf(rights)
  const limited = limits && permittedByScopes(limits, repository)
  const decideAction = (action: RepositoryAction): ActionDecision => {
    if (limited !== undefined && !limited.includes(action)) {
      return { allowed: false, because: [], failed: [], isBeyondScopes: true }
    }
    const including = judged.filter(({ permission }) => includesAction(permission.actions, action))
    const because = including.flatMap(({ permission, fault }) => (fault === undefined ? [permission] : []))
    const failed = including.flatMap(({ permission, fault }) =>
      fault === undefined ? [] : [{ permission, fault }],
    )
    if (because.length > 0 && tokenFault !== undefined) {
      return { allowed: false, because: [], failed, tokenFault }
    }
    return { allowed: because.length > 0, because, failed }
  }
  return { pull: decideAction('pull'), push: decideAction('push'), delete: decideAction('delete') }
}

/** The patterns of all repositories where a principal may do an action at this time, global ones left out. */
export function patternsThatAllow(
  rights: PrincipalRights,
  action: RepositoryAction,
  context: ConditionContext,
): string[] {
  if (conditionFault(rights.conditions ?? {}, context) !== undefined) return []
  const patterns = permissionsOf(rights, () => true)
    .filter(
      ({ actions, conditions = {} }) =>
        includesAction(actions, action) && conditionFault(conditions, context) === undefined,
    )
    .flatMap((permission) => permission.patterns)
  const limits = limitsOf(rights)
  return limits === undefined ? patterns : intersectPatterns(patterns, patternsOfScopes(limits, action))
}

/** The patterns of scopes that permit an action. */
export function patternsOfScopes(scopes: readonly Access[], action: RepositoryAction): string[] {
  return scopes
    .filter(({ type, actions }) => type === 'repository' && includesAction(actions, action))
    .map(({ name }) => name)
}

/** The scopes of a personal token that acts for a user; undefined without such limits. */
function limitsOf(rights: PrincipalRights): readonly Access[] | undefined {
  return 'limitedTo' in rights ? rights.limitedTo : undefined
}

/** The permissions with at least one pattern that `covers` accepts, whether or not their conditions hold. */
function permissionsOf(
  rights: PrincipalRights,
  covers: (pattern: string) => boolean,
  isGlobal = false,
): Permission[] {
  const granted = (rights.grants ?? [])
    .filter(({ repositories }) => covers(repositories))
    .map((grant): Permission => {
      const { repositories, actions, conditions } = grant
      const basis = { kind: 'grant', grant } as const
      return { basis, patterns: [repositories], actions, ...(conditions && { conditions }) }
    })
  if ('scopes' in rights) {
    const scopes = rights.scopes.filter(({ type, name }) => type === 'repository' && covers(name))
    const permitted = scopes.map(({ name, actions }): Permission => {
      const known = REPOSITORY_ACTIONS.filter((action) => actions.includes(action))
      return { basis: { kind: 'scope', repositories: name }, patterns: [name], actions: known }
    })
    return [...permitted, ...granted]
  }
  const { role, namespaces } = rights
  const owned = namespaces
    .map((namespace) => ({ namespace, patterns: patternsOfNamespace(namespace) }))
    .filter(({ patterns }) => patterns.some(covers))
    .map(({ namespace, patterns }): Permission => {
      return { basis: { kind: 'namespace', namespace }, patterns, actions: REPOSITORY_ACTIONS }
    })
  return [
    ...(role === 'cluster-administrator'
      ? [{ basis: { kind: 'role', role }, patterns: ['*'], actions: REPOSITORY_ACTIONS } as const]
      : []),
    ...owned,
    ...granted,
    ...(isGlobal ? [{ basis: { kind: 'global' }, patterns: ['*'], actions: ['pull'] } as const] : []),
  ]
}
