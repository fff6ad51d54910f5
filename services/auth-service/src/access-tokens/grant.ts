import type { Access, GlobalMark } from '@registry-manager/oci'
import {
  REPOSITORY_ACTIONS,
  isRepositoryName,
  namespaceCovers,
  permittedByScopes,
} from '@registry-manager/oci'
import type { Account } from '../accounts/account.ts'
import type { RegistryToken } from '../registry-tokens/registry-token.ts'

type DirectoryEntry = Pick<Account, 'role' | 'namespaces'>

/** Global repositories by name, each with its mark; undefined where image-manager does not tell it. */
export type Globals = ReadonlyMap<string, GlobalMark | undefined>
type Grantee = DirectoryEntry | Pick<RegistryToken, 'scopes'>

/**
 * What of the requested access an account or a registry token gets: requested ∩ permitted, entries with nothing left dropped.
 * `globals` are those of the requested repositories that every signed-in person may pull; a token pulls only
 * what its scopes say.
 * Asking for too much is no error. A requested `*` means all that is permitted; `push` includes `pull`.
 * Source: distribution, "Docker Registry v2 authentication via central service", "Requesting a Token".
 */
export function grant(
  account: Grantee,
  requested: readonly Access[],
  globals: Globals = new Map(),
): Access[] {
  return requested
    .map((scope) => ({
      ...scope,
      actions: granted(account, scope, globals),
      ...byGlobality(account, scope, globals),
    }))
    .filter(({ actions }) => actions.length > 0)
}

/** What a token says of access that it has only because a repository is global. */
function byGlobality(account: Grantee, scope: Access, globals: Globals): Pick<Access, 'global'> {
  const mark = scope.type === 'repository' ? globals.get(scope.name) : undefined
  return mark === undefined || 'scopes' in account || canReach(account, scope) ? {} : { global: mark }
}

/** The part of an access that only reads: what is issued while nobody can say whether it was revoked. */
export function onlyPull(access: readonly Access[]): Access[] {
  return access
    .filter(({ type, actions }) => type === 'repository' && actions.includes('pull'))
    .map((entry) => ({ ...entry, actions: ['pull'] }))
}

function granted(account: Grantee, { type, name, actions }: Access, globals: Globals): string[] {
  if (type === 'registry') return name === 'catalog' && actions.includes('*') ? ['*'] : []
  if (type !== 'repository') return []
  const asked = (action: string) => actions.includes(action) || actions.includes('*')
  if ('scopes' in account) return permittedByScopes(account.scopes, name).filter(asked)
  if (canReach(account, { type, name })) return REPOSITORY_ACTIONS.filter(asked)
  return globals.has(name) && asked('pull') ? ['pull'] : []
}

/** The repositories of a request that are outside of a person's reach: only a global one is granted. */
export function outOfReach(account: Grantee, requested: readonly Access[]): string[] {
  if ('scopes' in account) return []
  return requested
    .filter(
      (scope) => scope.type === 'repository' && isRepositoryName(scope.name) && !canReach(account, scope),
    )
    .map(({ name }) => name)
}

function canReach(account: DirectoryEntry, { type, name }: Pick<Access, 'type' | 'name'>): boolean {
  return type === 'repository' && isRepositoryName(name) && reaches(account, name)
}

function reaches({ role, namespaces }: DirectoryEntry, repository: string): boolean {
  return (
    role === 'cluster-administrator' || namespaces.some((namespace) => namespaceCovers(namespace, repository))
  )
}
