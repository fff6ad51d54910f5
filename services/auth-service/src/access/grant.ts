import type { RepositoryAction } from '@registry-manager/oci'
import { isPatternWithin, parseRepositoryPattern } from '@registry-manager/oci'
import type { Conditions, GrantRole } from '@registry-manager/principal'

/** The namespace of grants that may name any repository. Only cluster administrators manage them. */
export const INSTALLATION = '*'

export type SubjectKind = 'user' | 'group' | 'registry-token'

/** The user, the group or the registry token that has a grant. */
export interface Subject {
  readonly kind: SubjectKind
  /** The username, the group's name or the name of the registry token. */
  readonly name: string
}

/** The rights that a grant gives. It has either a role or actions. */
export interface GrantTerms {
  /** A repository pattern. */
  readonly repositories: string
  readonly role?: GrantRole
  /** Empty if there is a role. */
  readonly actions: readonly RepositoryAction[]
  readonly conditions?: Conditions
}

/** A grant with the id of its subject: of an account, or of a group. */
export interface PlannedGrant extends GrantTerms {
  readonly subject: Subject & { readonly id: string }
}

export interface StoredGrant extends PlannedGrant {
  readonly id: string
  readonly createdAt: Date
  /** The username of the account that made it; null if it is not known. */
  readonly createdBy: string | null
}

/** A key that is equal for grants that give the same rights to the same subject. */
export function identityOf({ subject, repositories, role, actions, conditions = {} }: PlannedGrant): string {
  const { networks, notBefore, notAfter, tags } = conditions
  return JSON.stringify([subject.id, repositories, role, actions, networks, notBefore, notAfter, tags])
}

/** The grants to add and to remove so that a namespace has exactly the wanted ones. Those that stay keep their ids. */
export function planGrants(
  stored: readonly StoredGrant[],
  wanted: readonly PlannedGrant[],
): { readonly add: readonly PlannedGrant[]; readonly remove: readonly StoredGrant[] } {
  const wantedByIdentity = new Map(wanted.map((grant) => [identityOf(grant), grant]))
  const remove = stored.filter((grant) => !wantedByIdentity.delete(identityOf(grant)))
  return { add: [...wantedByIdentity.values()], remove }
}

/** Whether grants of a namespace may name a pattern. Those of the installation may name any. */
export function mayNamePattern(namespace: string, pattern: string): boolean {
  if (namespace === INSTALLATION) return parseRepositoryPattern(pattern) !== undefined
  return isPatternWithin(namespace, pattern)
}
