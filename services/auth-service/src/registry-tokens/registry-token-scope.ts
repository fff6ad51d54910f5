import type { Access } from '@registry-manager/oci'
import { REPOSITORY_ACTIONS, isNested, parseRepositoryPattern } from '@registry-manager/oci'

/** A scope as a request has it, validated by its schema. */
export interface GivenScope {
  readonly type: string
  readonly name: string
  readonly actions: readonly string[]
}

/** The access of scopes: the actions in the order of REPOSITORY_ACTIONS, without duplicates. */
export function toScopes(given: readonly GivenScope[]): Access[] {
  return given.map(({ type, name, actions }) => ({
    type,
    name,
    actions: REPOSITORY_ACTIONS.filter((action) => actions.includes(action)),
  }))
}

/**
 * Returns a warning for each scope that probably means something else: a name of one component looks like a namespace,
 * but names a repository outside of all namespaces.
 */
export function scopeNotes(scopes: readonly Access[]): string[] {
  return scopes
    .filter(({ name }) => parseRepositoryPattern(name)?.kind === 'one' && !isNested(name))
    .map(
      ({ name }) =>
        `scope ${name} covers only the repository ${name}, which belongs to no namespace; ` +
        `${name}/* covers all repositories below ${name}`,
    )
}
