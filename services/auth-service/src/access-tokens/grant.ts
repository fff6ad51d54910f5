import type { Access, GlobalMark, RepositoryAction } from '@registry-manager/oci'
import { REPOSITORY_ACTIONS, isRepositoryName, joinTagPatterns } from '@registry-manager/oci'
import type { ConditionContext, Conditions, Permission, PrincipalRights } from '@registry-manager/principal'
import { conditionFault, decideAccess, intersectNetworks } from '@registry-manager/principal'

/** Global repositories by name, each with its mark; undefined if image-manager sends no mark. */
export type Globals = ReadonlyMap<string, GlobalMark | undefined>

export interface GrantContext extends ConditionContext {
  /** The global ones of the requested repositories: every user may pull them. */
  readonly globals?: Globals
}

export interface Granted {
  readonly access: readonly Access[]
  /** The earliest end of the conditions that the access depends on, in seconds since the epoch. */
  readonly notAfter?: number
}

/**
 * Returns requested ∩ permitted access of a user or a registry token, without entries that have no action left. A
 * registry token has only the access of its scopes and grants. A request for more than is permitted is no error. A
 * requested `*` means everything that is permitted; `push` includes `pull`.
 *
 * Access that depends on the client's network or on the pushed tag has an entry of its own with `networks` or `tags`,
 * which registry-proxy compares with each request. The conditions of a personal or registry token limit every entry.
 * Source: distribution, "Docker Registry v2 authentication via central service", "Requesting a Token".
 */
export function grant(
  principal: PrincipalRights,
  requested: readonly Access[],
  context: GrantContext,
): Granted {
  const entries = requested.flatMap((scope) => entriesFor(principal, scope, context))
  const notAfter = Math.floor(Math.min(...entries.map(({ untilMs }) => untilMs)) / 1000)
  return { access: entries.map(({ access }) => access), ...(Number.isFinite(notAfter) && { notAfter }) }
}

/**
 * Keeps only pulls: for offline tokens, whose account may have been revoked during the outage, and for anonymous
 * principals.
 */
export function onlyPull(access: readonly Access[]): Access[] {
  return access
    .filter(({ type, actions }) => type === 'repository' && actions.includes('pull'))
    .map((entry) => ({ ...entry, actions: ['pull'] }))
}

/**
 * Returns the requested repositories that a user may not pull by rights without conditions: unconditional pulls of
 * these are granted only if they are global.
 */
export function findNotPullable(
  principal: PrincipalRights,
  requested: readonly Access[],
  context: ConditionContext,
): string[] {
  if ('scopes' in principal) return []
  return requested
    .filter(({ type, name }) => type === 'repository' && isRepositoryName(name))
    .filter(({ name }) => {
      const { because, isBeyondScopes = false } = decideAccess(principal, name, context).pull
      return !isBeyondScopes && !because.some((permission) => isUnlimited(permission, 'pull'))
    })
    .map(({ name }) => name)
}

/** Access with the end of the conditions that it depends on, in milliseconds since the epoch. */
interface Entry {
  readonly access: Access
  readonly untilMs: number
}

function entriesFor(principal: PrincipalRights, scope: Access, context: GrantContext): Entry[] {
  const { type, name, actions } = scope
  const isRequested = (action: string) => actions.includes(action) || actions.includes('*')
  const { conditions = {} } = principal
  if (type === 'registry' && name === 'catalog' && actions.includes('*')) {
    if (conditionFault(conditions, context) !== undefined) return []
    const { networks } = conditions
    const access = { type, name, actions: ['*'], ...(networks && { networks }) }
    return [{ access, untilMs: untilMsOf(conditions) }]
  }
  if (type !== 'repository') return []
  const isGlobal = context.globals?.has(name) ?? false
  const decision = decideAccess(principal, name, { ...context, isGlobal })
  const mark = context.globals?.get(name)
  const byLimit = new Map<string, Entry>()
  for (const action of REPOSITORY_ACTIONS.filter(isRequested)) {
    for (const [own, untilMs] of limitsOf(decision[action].because, action, mark)) {
      const limit = limitFurther(own, action, conditions)
      // No client is in the networks of the token and in those of the grant.
      if (limit.networks?.length === 0) continue
      const key = JSON.stringify(limit)
      const known = byLimit.get(key)
      byLimit.set(key, {
        access: { type, name, actions: [...new Set([...(known?.access.actions ?? []), action])], ...limit },
        untilMs: Math.min(untilMs, untilMsOf(conditions), known?.untilMs ?? Infinity),
      })
    }
  }
  return [...byLimit.values()]
}

type Limit = Pick<Access, 'global' | 'networks' | 'tags'>

/**
 * The limits under which permissions allow an action, each with the end of the last permission that has this limit. A
 * permission without limits makes the others superfluous. Access that is granted only because the repository is global
 * is marked: it ends when the repository stops being global.
 */
function limitsOf(
  permissions: readonly Permission[],
  action: RepositoryAction,
  mark: GlobalMark | undefined,
): readonly (readonly [limit: Limit, untilMs: number])[] {
  const unlimited = permissions.filter((permission) => isUnlimited(permission, action))
  const own = unlimited.filter(({ basis }) => basis.kind !== 'global')
  if (own.length > 0) return [[{}, Math.max(...own.map(({ conditions }) => untilMsOf(conditions)))]]
  if (unlimited.length > 0) return [[mark === undefined ? {} : { global: mark }, Infinity]]
  const limits = new Map<string, readonly [Limit, number]>()
  for (const permission of permissions) {
    const { networks, tags } = permission.conditions ?? {}
    const limit = { ...(networks && { networks }), ...(tags !== undefined && action === 'push' && { tags }) }
    const key = JSON.stringify(limit)
    limits.set(key, [limit, Math.max(untilMsOf(permission.conditions), limits.get(key)?.[1] ?? 0)])
  }
  return [...limits.values()]
}

/** A limit together with the conditions of the token that acts. */
function limitFurther(limit: Limit, action: RepositoryAction, conditions: Conditions): Limit {
  const networks =
    limit.networks && conditions.networks
      ? intersectNetworks(limit.networks, conditions.networks)
      : (limit.networks ?? conditions.networks)
  const tags = action === 'push' ? joinTagPatterns(limit.tags, conditions.tags) : undefined
  const { global } = limit
  return { ...(global && { global }), ...(networks && { networks }), ...(tags !== undefined && { tags }) }
}

function isUnlimited({ conditions }: Permission, action: RepositoryAction): boolean {
  return conditions?.networks === undefined && (conditions?.tags === undefined || action !== 'push')
}

function untilMsOf({ notAfter }: Conditions = {}): number {
  return notAfter === undefined ? Infinity : Date.parse(notAfter)
}
