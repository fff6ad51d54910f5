import type { RepositoryScope } from './repository.ts'

/** The body of `PUT …/repositories/{namespace}/{repo}`. */
export interface ScopeInput {
  readonly scope: RepositoryScope
  readonly namespace?: string
  readonly repo?: string
}

/**
 * Finds the field of a body that disagrees with the path: `namespace` and `repo` must be the parts of its repository
 * name. A name of several components may be cut anywhere: `a/b/c` is `c` in `a/b`, or `b/c` in `a`.
 * Source: seed 001, "Update repository metadata".
 */
export function findDisagreeing(
  { namespace, repo }: ScopeInput,
  name: string,
): 'namespace' | 'repo' | undefined {
  if (namespace !== undefined && !name.startsWith(`${namespace}/`)) return 'namespace'
  if (repo === undefined) return undefined
  if (repo === '') return 'repo'
  const agrees = namespace === undefined ? `/${name}`.endsWith(`/${repo}`) : name === `${namespace}/${repo}`
  return agrees ? undefined : 'repo'
}
