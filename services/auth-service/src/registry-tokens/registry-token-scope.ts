import type { FieldFault } from '@registry-manager/http'
import type { Access } from '@registry-manager/oci'
import { REPOSITORY_ACTIONS, isNested, parseRepositoryPattern } from '@registry-manager/oci'

/** A scope as a request has it. */
export interface GivenScope {
  readonly type: string
  readonly name: string
  readonly actions: readonly string[] | null
}

const MAX_SCOPES = 100

/**
 * Parses the scopes of a registry token: each has the type `repository`, a repository pattern as its name, and at least
 * one of the actions pull, push and delete. The result has the actions in that order, without duplicates.
 */
export function parseRegistryTokenScopes(
  given: readonly GivenScope[],
): { scopes: Access[] } | { fault: FieldFault } {
  if (given.length > MAX_SCOPES)
    return fault('', `must be ${MAX_SCOPES} scopes at the most; ${given.length} are given`)
  const scopes: Access[] = []
  for (const [index, { type, name, actions }] of given.entries()) {
    if (type !== 'repository')
      return fault(`.${index}.type`, `must be repository; ${JSON.stringify(type)} is not`)
    if (parseRepositoryPattern(name) === undefined) {
      const expected = 'must be a repository name, prefix/* for all repositories below a prefix, or * for all'
      return fault(`.${index}.name`, `${expected}; ${JSON.stringify(name)} is not`)
    }
    const known = REPOSITORY_ACTIONS.filter((action) => actions?.includes(action))
    const unknown = actions?.find((action) => !known.some((one) => one === action))
    if (known.length === 0 || unknown !== undefined) {
      return fault(`.${index}.actions`, `must be one or more of ${REPOSITORY_ACTIONS.join(', ')}`)
    }
    scopes.push({ type, name, actions: known })
  }
  return { scopes }
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

function fault(where: string, detail: string): { fault: FieldFault } {
  return { fault: { field: `scopes${where}`, detail } }
}
