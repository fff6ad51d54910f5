import type { RepositoryAction } from '@registry-manager/oci'
import { tagMatches } from '@registry-manager/oci'
import type {
  ConditionContext,
  ConditionFault,
  Conditions,
  DecisionContext,
  EffectiveGrant,
  Permission,
  PrincipalRights,
} from '@registry-manager/principal'
import { decideAccess, describeAction, describeGivers, describeManagers } from '@registry-manager/principal'

/** A grant in an explanation. */
interface ExplainedGrant {
  readonly id: string
  readonly repositories: string
  readonly role?: EffectiveGrant['role']
  /** Only if the grant has no role. */
  readonly actions?: readonly RepositoryAction[]
  readonly conditions?: Conditions
}

/** One fact that decides, or that was considered. */
export type Reason =
  | ({ readonly kind: 'grant' } & ExplainedGrant)
  /** A grant of a group that the account is a member of. */
  | ({ readonly kind: 'group'; readonly name: string } & ExplainedGrant)
  | { readonly kind: 'namespace'; readonly namespace: string }
  | { readonly kind: 'role'; readonly role: 'cluster-administrator' }
  | { readonly kind: 'global' }
  | { readonly kind: 'scope'; readonly repositories: string; readonly actions: readonly RepositoryAction[] }
  /** A condition that does not hold. `grant` has it. */
  | {
      readonly kind: 'condition'
      readonly condition: ConditionFault['condition'] | 'tags'
      readonly detail: string
      readonly grant: string
    }
  | { readonly kind: 'account'; readonly state: 'disabled' | 'expired' }
  /** Access tokens of the account's earlier generation are revoked. */
  | { readonly kind: 'generation'; readonly token: number; readonly account: number }

/** Whether an account may do an action, why, and what is missing; null if nothing is. */
export interface Explanation {
  readonly allowed: boolean
  readonly because: readonly Reason[]
  readonly missing: string | null
}

/** An account whose access is explained. */
export interface ExplainedAccount {
  /** A workload has no grants; its trust rule has scopes. */
  readonly isWorkload?: boolean
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
 * Explains what an account may do with a repository. The decision is that of `decideAccess`, which also decides what
 * access tokens permit. If the action is allowed, the reasons are those that allow it. Otherwise they are what stands
 * against it, conditions that do not hold, and what the account has on the repository instead.
 */
export function explain(
  account: ExplainedAccount,
  question: Question,
  context: DecisionContext,
): Explanation {
  const { repository, action } = question
  const decision = decideAccess(account.rights, repository, context)
  const { because, failed } = decision[action]
  const tagFaults = because.flatMap((permission) => tagFault(permission, question))
  const allowing = because.filter((permission) => tagFault(permission, question).length === 0)
  const obstacles = obstaclesOf(account, question)
  if (allowing.length > 0 && obstacles.length === 0) {
    return { allowed: true, because: allowing.map(toReason), missing: null }
  }
  if (allowing.length > 0) {
    const reasons = [...obstacles, ...allowing.map(toReason)]
    return { allowed: false, because: reasons, missing: describeObstacle(obstacles) }
  }
  const conditions = [...failed.map(({ permission, fault }) => toFault(permission, fault)), ...tagFaults]
  const others = [decision.pull, decision.push, decision.delete].flatMap((one) => one.because)
  const rest = [...new Set(others)]
  return {
    allowed: false,
    because: [...obstacles, ...conditions, ...rest.map(toReason)],
    missing: describeObstacle(obstacles) ?? describeMissing(question, conditions, account.isWorkload),
  }
}

type ConditionReason = Extract<Reason, { kind: 'condition' }>

/** What the account has on the repository, whatever its conditions: for lists of those who may do an action. */
export function reasonsFor(
  rights: PrincipalRights,
  { repository, action }: Question,
  context: ConditionContext,
): { readonly allowed: boolean; readonly because: readonly Reason[] } {
  const { allowed, because, failed } = decideAccess(rights, repository, context)[action]
  const faults = failed.map(({ permission, fault }) => toFault(permission, fault))
  return { allowed, because: [...because.map(toReason), ...faults] }
}

function obstaclesOf({ state, generation: current }: ExplainedAccount, { generation }: Question): Reason[] {
  return [
    ...(state === 'enabled' ? [] : [{ kind: 'account', state } as const]),
    ...(generation === undefined || generation >= current
      ? []
      : [{ kind: 'generation', token: generation, account: current } as const]),
  ]
}

function describeObstacle([first]: readonly Reason[]): string | null {
  if (first?.kind === 'account') {
    return first.state === 'disabled'
      ? 'the account is disabled; a cluster administrator can enable it'
      : 'the registry token has expired; an administrator can give it another expiry'
  }
  return first?.kind === 'generation'
    ? 'the token was issued before the rights of the account changed and is revoked; request a new token'
    : null
}

function describeMissing(
  { repository, action }: Question,
  conditions: readonly ConditionReason[],
  isWorkload = false,
): string {
  const what = describeAction(action, repository)
  const [condition] = conditions
  if (condition === undefined) {
    return `no right to ${what}; ${describeGivers(action, repository, isWorkload ? 'workload' : 'account')}`
  }
  const managers = describeManagers(repository)
  return `the right to ${what} has a condition: ${condition.detail}; ${managers} can change the condition`
}

function tagFault({ conditions, basis }: Permission, { action, tag }: Question): ConditionReason[] {
  const tags = conditions?.tags
  if (action !== 'push' || tag === undefined || tags === undefined || tagMatches(tags, tag)) return []
  const detail = `it applies to tags that match ${tags} only, not to ${tag}`
  return [{ kind: 'condition', condition: 'tags', detail, grant: grantId(basis) }]
}

function toFault({ basis }: Permission, { condition, detail }: ConditionFault): ConditionReason {
  return { kind: 'condition', condition, detail, grant: grantId(basis) }
}

/** Only grants have conditions. */
function grantId(basis: Permission['basis']): string {
  return basis.kind === 'grant' ? basis.grant.id : ''
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
