import type { Access, GlobalMark } from '@registry-manager/oci'
import {
  REPOSITORY_ACTIONS,
  isRepositoryName,
  namespaceCovers,
  permittedByScopes,
} from '@registry-manager/oci'
import type { Account } from '../principals/account.ts'
import type { RegistryToken } from '../principals/registry-token.ts'

/** Global repositories by name, each with its mark; undefined where image-manager sends no mark. */
export type Globals = ReadonlyMap<string, GlobalMark | undefined>

type UserRights = Pick<Account, 'role' | 'namespaces'>
type PrincipalRights = UserRights | Pick<RegistryToken, 'scopes'>

/**
 * Returns requested ∩ permitted access of a user or a registry token, without entries that have no action left.
 * `globals` are the global ones of the requested repositories: every user may pull them. A registry token may only do
 * what its scopes say. A request for more than is permitted is no error. A requested `*` means everything that is
 * permitted; `push` includes `pull`.
 * Source: distribution, "Docker Registry v2 authentication via central service", "Requesting a Token".
 */
export function grant(
  principal: PrincipalRights,
  requested: readonly Access[],
  globals: Globals = new Map(),
): Access[] {
  return requested
    .map((scope) => ({
      ...scope,
      actions: grantedActions(principal, scope, globals),
      ...globalMark(principal, scope, globals),
    }))
    .filter(({ actions }) => actions.length > 0)
}

/**
 * Marks access that is granted only because the repository is global: the access ends when the repository stops being
 * global.
 */
function globalMark(principal: PrincipalRights, scope: Access, globals: Globals): Pick<Access, 'global'> {
  const mark = scope.type === 'repository' ? globals.get(scope.name) : undefined
  return mark === undefined || 'scopes' in principal || isInReach(principal, scope) ? {} : { global: mark }
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

function grantedActions(
  principal: PrincipalRights,
  { type, name, actions }: Access,
  globals: Globals,
): string[] {
  if (type === 'registry') return name === 'catalog' && actions.includes('*') ? ['*'] : []
  if (type !== 'repository') return []
  const isRequested = (action: string) => actions.includes(action) || actions.includes('*')
  if ('scopes' in principal) return permittedByScopes(principal.scopes, name).filter(isRequested)
  if (isInReach(principal, { type, name })) return REPOSITORY_ACTIONS.filter(isRequested)
  return globals.has(name) && isRequested('pull') ? ['pull'] : []
}

/**
 * Returns the requested repositories that a user's own rights do not cover: these are granted only if they are global.
 */
export function outOfReach(principal: PrincipalRights, requested: readonly Access[]): string[] {
  if ('scopes' in principal) return []
  return requested
    .filter(
      (scope) => scope.type === 'repository' && isRepositoryName(scope.name) && !isInReach(principal, scope),
    )
    .map(({ name }) => name)
}

function isInReach({ role, namespaces }: UserRights, { type, name }: Pick<Access, 'type' | 'name'>): boolean {
  if (type !== 'repository' || !isRepositoryName(name)) return false
  return role === 'cluster-administrator' || namespaces.some((namespace) => namespaceCovers(namespace, name))
}
