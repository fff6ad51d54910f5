import type { Access } from '@registry-manager/oci'
import { REPOSITORY_ACTIONS, isRepositoryName, namespaceCovers } from '@registry-manager/oci'
import type { Account } from './account.ts'

type Grantee = Pick<Account, 'role' | 'namespaces'>

/**
 * What of the requested access an account gets: requested ∩ permitted, entries with nothing left dropped.
 * Asking for too much is no error. A requested `*` means all that is permitted; `push` includes `pull`.
 * Source: distribution, "Docker Registry v2 authentication via central service", "Requesting a Token".
 */
export function grant(account: Grantee, requested: readonly Access[]): Access[] {
  return requested
    .map((scope) => ({ ...scope, actions: granted(account, scope) }))
    .filter(({ actions }) => actions.length > 0)
}

/** The part of an access that only reads: what is issued while nobody can say whether it was revoked. */
export function onlyPull(access: readonly Access[]): Access[] {
  return access
    .filter(({ type, actions }) => type === 'repository' && actions.includes('pull'))
    .map((entry) => ({ ...entry, actions: ['pull'] }))
}

function granted(account: Grantee, { type, name, actions }: Access): string[] {
  if (type === 'registry') return name === 'catalog' && actions.includes('*') ? ['*'] : []
  if (type !== 'repository' || !isRepositoryName(name) || !reaches(account, name)) return []
  return REPOSITORY_ACTIONS.filter((action) => actions.includes(action) || actions.includes('*'))
}

function reaches({ role, namespaces }: Grantee, repository: string): boolean {
  return (
    role === 'cluster-administrator' || namespaces.some((namespace) => namespaceCovers(namespace, repository))
  )
}
