import type { Account, Role } from '../accounts/account.ts'
import { ROLES } from '../accounts/account.ts'
import type { AccountState } from './account-state.ts'
import type { Looked } from './directory.ts'
import type { GroupMap } from './group-map.ts'
import { grantOfGroups } from './group-map.ts'

/** What the directory said of an account when it was last asked. */
export interface DirectoryStanding {
  /** Null where it has nobody, or several, by that name. */
  readonly dn: string | null
  readonly state: AccountState | 'gone' | 'ambiguous'
  /** What its groups give; null gives no role. */
  readonly role: Role | null
  readonly namespaces: readonly string[]
}

/** What an account may do. */
export interface Powers {
  readonly role: Role
  readonly enabled: boolean
  readonly namespaces: readonly string[]
}

/** What is to be written down of what was found. */
export function standingOf(looked: Looked, groups: GroupMap | undefined): DirectoryStanding {
  if (looked.outcome !== 'found') return { dn: null, state: looked.outcome, role: null, namespaces: [] }
  const { dn, state, groups: memberOf } = looked.person
  const grant = groups && grantOfGroups(groups, memberOf)
  return { dn, state, role: grant?.role ?? null, namespaces: grant?.namespaces ?? [] }
}

export function isSameStanding(one: DirectoryStanding | undefined, other: DirectoryStanding): boolean {
  return (
    one !== undefined &&
    one.dn === other.dn &&
    one.state === other.state &&
    one.role === other.role &&
    one.namespaces.join() === other.namespaces.join()
  )
}

/** What holdsExactly: what administrators gave and what the groups give, for as long as the directory has them in order. */
export function powersOf(own: Powers, standing: DirectoryStanding | undefined): Powers {
  if (standing === undefined) return own
  const role = ROLES.find((name) => name === own.role || name === standing.role) ?? own.role
  const namespaces = [...new Set([...own.namespaces, ...standing.namespaces])].toSorted()
  return { role, enabled: own.enabled && standing.state === 'active', namespaces }
}

/** What administrators gave an account, without what the directory adds and takes. */
export function ownPowersOf({ own, role, enabled, namespaces }: Account): Powers {
  return own ?? { role, enabled, namespaces }
}
