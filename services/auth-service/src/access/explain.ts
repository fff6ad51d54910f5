import type { RepositoryAction } from '@registry-manager/oci'
import {
  REPOSITORY_ACTIONS,
  formatScope,
  includesAction,
  patternCovers,
  repositoryAccess,
  tagMatches,
} from '@registry-manager/oci'
import type {
  ConditionContext,
  ConditionFault,
  Conditions,
  DecisionContext,
  EffectiveGrant,
  Permission,
  PrincipalRights,
} from '@registry-manager/principal'
import {
  decideAccess,
  describeAction,
  describeActivity,
  describeWhoCanGrant,
  describeManagers,
} from '@registry-manager/principal'

/** A grant in an explanation. */
interface ExplainedGrant {
  readonly id: string
  readonly repositories: string
  readonly role?: EffectiveGrant['role']
  /** Only if the grant has no role. */
  readonly actions?: readonly RepositoryAction[]
  readonly conditions?: Conditions
}

/** One fact that led to the decision, or that was considered. */
export type Reason =
  | ({ readonly kind: 'grant' } & ExplainedGrant)
  /** A grant of a group that the account is a member of. */
  | ({ readonly kind: 'group'; readonly name: string } & ExplainedGrant)
  | { readonly kind: 'namespace'; readonly namespace: string }
  | { readonly kind: 'role'; readonly role: 'cluster-administrator' }
  | { readonly kind: 'global' }
  /** A scope of a registry token, of a trust rule, or of a personal token, which limits its owner's rights. */
  | { readonly kind: 'scope'; readonly repositories: string; readonly actions: readonly RepositoryAction[] }
  /** A condition that does not hold. `grant` has it; if that is absent, the token itself. */
  | {
      readonly kind: 'condition'
      readonly condition: ConditionFault['condition'] | 'tags'
      readonly detail: string
      readonly grant?: string
    }
  | { readonly kind: 'account'; readonly state: 'disabled' | 'expired' }
  /** Access tokens of the account's earlier generation are revoked. */
  | { readonly kind: 'generation'; readonly token: number; readonly account: number }

/** Whether an account may do an action, the reasons, and the missing right; null if none is missing. */
export interface Explanation {
  readonly allowed: boolean
  readonly because: readonly Reason[]
  readonly missing: string | null
}

/** An account, or a personal token that acts for it, whose access is explained. */
export interface ExplainedAccount {
  /** A user if absent. A workload has no grants; its trust rule has scopes. */
  readonly kind?: 'user' | 'registry-token' | 'personal-token' | 'workload'
  readonly rights: PrincipalRights
  readonly state: 'enabled' | 'disabled' | 'expired'
  readonly generation: number
}

export interface Question {
  readonly repository: string
  readonly action: RepositoryAction
  /** The tag of a push. */
  readonly tag?: string | undefined
  /** The generation (`gen`) of an access token, to learn whether the token is revoked. */
  readonly generation?: number | undefined
}

/**
 * Explains the actions that an account may do on a repository. The decision is that of `decideAccess`, which also
 * decides about access tokens. If the action is allowed, the reasons are the rights that allow it; for a personal token
 * both the rights of its owner and its scopes. Otherwise they are the obstacles, the conditions that do not hold, and
 * the other rights of the account on the repository.
 */
export function explain(
  account: ExplainedAccount,
  question: Question,
  context: DecisionContext,
): Explanation {
  const { repository, action } = question
  const { rights, kind = 'user' } = account
  const decision = decideAccess(rights, repository, context)
  const { because, failed, isBeyondScopes, tokenFault } = decision[action]
  const tagFaults = because.flatMap((permission) => tagFault(permission, question))
  const allowing = because.filter((permission) => tagFault(permission, question).length === 0)
  const obstacles = [
    ...obstaclesOf(account, question),
    ...(tokenFault === undefined ? [] : [toFault(tokenFault)]),
    ...(allowing.length === 0 ? [] : tagFaultOf(rights.conditions, question)),
  ]
  const scopes = scopesOf(rights, repository)
  if (allowing.length > 0 && obstacles.length === 0) {
    const permitting = scopes.filter((scope) => includesAction(scope.actions, action))
    return { allowed: true, because: [...allowing.map(toReason), ...permitting], missing: null }
  }
  if (allowing.length > 0) {
    const reasons = [...obstacles, ...allowing.map(toReason)]
    return { allowed: false, because: reasons, missing: describeObstacle(obstacles, kind) }
  }
  const conditions = [
    ...failed.map(({ permission, fault }) => toFault(fault, permission.basis)),
    ...tagFaults,
  ]
  const others = [decision.pull, decision.push, decision.delete].flatMap((one) => one.because)
  const rest = [...new Set(others)]
  return {
    allowed: false,
    because: [...obstacles, ...conditions, ...scopes, ...rest.map(toReason)],
    missing:
      describeObstacle(obstacles, kind) ??
      (isBeyondScopes === true
        ? describeBeyondScopes(question)
        : describeMissing(question, conditions, kind === 'workload')),
  }
}

type ConditionReason = Extract<Reason, { kind: 'condition' }>

/**
 * The rights of an account on a repository, also those whose conditions do not hold: for lists of the accounts that may
 * do an action.
 */
export function reasonsFor(
  rights: PrincipalRights,
  { repository, action }: Question,
  context: ConditionContext,
): { readonly allowed: boolean; readonly because: readonly Reason[] } {
  const { allowed, because, failed, tokenFault } = decideAccess(rights, repository, context)[action]
  const faults = failed.map(({ permission, fault }) => toFault(fault, permission.basis))
  const ofToken = tokenFault === undefined ? [] : [toFault(tokenFault)]
  return { allowed, because: [...because.map(toReason), ...ofToken, ...faults] }
}

function obstaclesOf({ state, generation: current }: ExplainedAccount, { generation }: Question): Reason[] {
  return [
    ...(state === 'enabled' ? [] : [{ kind: 'account', state } as const]),
    ...(generation === undefined || generation >= current
      ? []
      : [{ kind: 'generation', token: generation, account: current } as const]),
  ]
}

/** The scopes of a personal token that cover a repository. */
function scopesOf(rights: PrincipalRights, repository: string): Extract<Reason, { kind: 'scope' }>[] {
  const limits = 'limitedTo' in rights ? (rights.limitedTo ?? []) : []
  return limits
    .filter(({ name }) => patternCovers(name, repository))
    .map(({ name, actions }) => {
      const known = REPOSITORY_ACTIONS.filter((action) => actions.includes(action))
      return { kind: 'scope', repositories: name, actions: known }
    })
}

const ENDED: Readonly<Record<NonNullable<ExplainedAccount['kind']>, string>> = {
  user: 'the account has expired',
  'registry-token': 'the registry token has expired; an administrator can set another expiry date',
  'personal-token': 'the personal token has expired; its owner can create another one',
  workload: 'the trust rule has expired',
}

function describeObstacle(
  [first]: readonly Reason[],
  kind: NonNullable<ExplainedAccount['kind']>,
): string | null {
  switch (first?.kind) {
    case 'account':
      if (first.state === 'expired') return ENDED[kind]
      return 'the account is disabled; a cluster administrator can enable it'
    case 'generation':
      return 'the token was issued before the rights of the account changed and is revoked; request a new token'
    case 'condition':
      return kind === 'personal-token'
        ? `the personal token has a condition: ${first.detail}; its owner can create another one`
        : `the token has a condition: ${first.detail}; a cluster administrator can change it`
    default:
      return null
  }
}

function describeBeyondScopes({ repository, action }: Question): string {
  const scope = formatScope([repositoryAccess(repository, action)])
  const activity = describeActivity(action, repository)
  return `the scopes of the personal token do not permit ${activity}; its owner can create one with the scope ${scope}`
}

function describeMissing(
  { repository, action }: Question,
  conditions: readonly ConditionReason[],
  isWorkload = false,
): string {
  const what = describeAction(action, repository)
  const [condition] = conditions
  if (condition === undefined) {
    return `no right to ${what}; ${describeWhoCanGrant(action, repository, isWorkload ? 'workload' : 'account')}`
  }
  const managers = describeManagers(repository)
  return `the right to ${what} has a condition: ${condition.detail}; ${managers} can change the condition`
}

function tagFault({ conditions, basis }: Permission, question: Question): ConditionReason[] {
  return tagFaultOf(conditions, question).map((fault) => ({ ...fault, ...grantOf(basis) }))
}

function tagFaultOf({ tags }: Conditions = {}, { action, tag }: Question): ConditionReason[] {
  if (action !== 'push' || tag === undefined || tags === undefined || tagMatches(tags, tag)) return []
  const detail = `it applies to tags that match ${tags} only, not to ${tag}`
  return [{ kind: 'condition', condition: 'tags', detail }]
}

/** Without a basis the condition is one of the token itself. */
function toFault({ condition, detail }: ConditionFault, basis?: Permission['basis']): ConditionReason {
  return { kind: 'condition', condition, detail, ...grantOf(basis) }
}

/** Of all permissions, only grants have conditions. */
function grantOf(basis: Permission['basis'] | undefined): { readonly grant?: string } {
  return basis?.kind === 'grant' ? { grant: basis.grant.id } : {}
}

function toReason({ basis, actions }: Permission): Reason {
  if (basis.kind === 'scope') return { ...basis, actions }
  if (basis.kind !== 'grant') return basis
  const { id, repositories, role, conditions, group } = basis.grant
  const shown = {
    id,
    repositories,
    ...(role === undefined ? { actions } : { role }),
    ...(conditions && { conditions }),
  }
  return group === undefined ? { kind: 'grant', ...shown } : { kind: 'group', name: group, ...shown }
}
