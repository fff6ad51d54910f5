import type { Access } from '@registry-manager/oci'
import {
  MAX_NAME_LENGTH,
  REPOSITORY_ACTIONS,
  SCOPE_NAME_PATTERN,
  isNested,
  parseRepositoryPattern,
} from '@registry-manager/oci'
import { Type } from 'typebox'

/** A scope of a registry token or a personal token, as a request gives it. */
export const GivenScope = Type.Object(
  {
    type: Type.Literal('repository'),
    name: Type.String({
      pattern: SCOPE_NAME_PATTERN,
      maxLength: MAX_NAME_LENGTH,
      'x-rule': 'must be a repository name, prefix/* for all repositories below a prefix, or * for all',
      description: 'A repository, `prefix/*` for all repositories below a prefix, or `*` for all.',
    }),
    actions: Type.Array(Type.Enum([...REPOSITORY_ACTIONS]), {
      minItems: 1,
      'x-rule': `must be one or more of ${REPOSITORY_ACTIONS.join(', ')}`,
      description: '`push` includes `pull`.',
    }),
  },
  { additionalProperties: false },
)

/** The access of given scopes: the actions in the order of REPOSITORY_ACTIONS, without duplicates. */
export function toScopes(given: readonly Access[]): Access[] {
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
