import type { Access } from '@registry-manager/oci'
import { REPOSITORY_ACTIONS, isNested, parseRepositoryPattern } from '@registry-manager/oci'
import type { FieldFault } from '../accounts/user-input.ts'

/** A scope as it comes in. */
export interface GivenScope {
  readonly type: string
  readonly name: string
  readonly actions: readonly string[] | null
}

const MAX_SCOPES = 100

/**
 * Reads the scopes of a registry token: each of the type `repository`, with a pattern for its name and with at least one of
 * the actions pull, push and delete. Actions come out in that order, each once. Without scopes a token may do nothing.
 */
export function parseTokenScopes(given: readonly GivenScope[]): { scopes: Access[] } | { fault: FieldFault } {
  if (given.length > MAX_SCOPES)
    return fault('', `must be at most ${MAX_SCOPES} scopes; ${given.length} are given`)
  const scopes: Access[] = []
  for (const [index, { type, name, actions }] of given.entries()) {
    if (type !== 'repository') return fault(`.${index}.type`, 'must be repository')
    if (parseRepositoryPattern(name) === undefined) {
      const right = 'must be a repository name, prefix/* for all that is below a prefix, or * for every one'
      return fault(`.${index}.name`, `${right}; ${JSON.stringify(name)} is not`)
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
 * What is probably not meant in a token's scopes, one sentence each: a name of one component reads like a namespace, but is
 * a repository that belongs to none.
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
