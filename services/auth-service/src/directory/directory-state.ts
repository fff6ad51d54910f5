import type { DirectoryState } from '../principals/account.ts'
import type { DirectoryLookup } from './directory.ts'
import type { GroupMap } from './group-map.ts'
import { grantOfGroups } from './group-map.ts'

/** The directory state to store for the result of a lookup. */
export function directoryStateOf(lookup: DirectoryLookup, groups: GroupMap | undefined): DirectoryState {
  if (lookup.outcome !== 'found') return { dn: null, state: lookup.outcome, role: null, namespaces: [] }
  const { dn, state, groups: memberOf } = lookup.entry
  const grant = groups && grantOfGroups(groups, memberOf)
  return { dn, state, role: grant?.role ?? null, namespaces: grant?.namespaces ?? [] }
}

export function isSameDirectoryState(one: DirectoryState | undefined, other: DirectoryState): boolean {
  return (
    one !== undefined &&
    one.dn === other.dn &&
    one.state === other.state &&
    one.role === other.role &&
    one.namespaces.join() === other.namespaces.join()
  )
}
