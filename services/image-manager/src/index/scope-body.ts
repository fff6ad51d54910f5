import type { RepositoryScope } from './repository.ts'

export type ParsedScopeBody =
  | { readonly scope: RepositoryScope }
  | { readonly field: string; readonly detail: string }

const FIELDS = ['scope', 'namespace', 'repo']

/**
 * Parses the body of `PUT …/repositories/{namespace}/{repo}`: `scope`, and optionally `namespace` and `repo`, which
 * must agree with the path. A name of several components may be cut anywhere: `a/b/c` is `c` in `a/b`, or `b/c` in `a`.
 * Source: seed 001, "Update repository metadata".
 */
export function parseScopeBody(body: unknown, name: string): ParsedScopeBody {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return { field: 'scope', detail: 'the body must be {"scope":"global"} or {"scope":"namespace"}' }
  }
  const unknown = Object.keys(body).find((field) => !FIELDS.includes(field))
  if (unknown !== undefined) {
    return {
      field: unknown,
      detail: `${unknown} is not a known field; known fields are ${FIELDS.join(', ')}`,
    }
  }
  const { scope, namespace, repo } = body as { scope?: unknown; namespace?: unknown; repo?: unknown }
  if (scope !== 'global' && scope !== 'namespace') {
    return { field: 'scope', detail: 'scope must be "global" or "namespace"' }
  }
  const field = findDisagreeing(name, namespace, repo)
  return field === undefined
    ? { scope }
    : { field, detail: `${field} must agree with the path, which names ${name}` }
}

function findDisagreeing(name: string, namespace: unknown, repo: unknown): string | undefined {
  if (namespace !== undefined && !(typeof namespace === 'string' && name.startsWith(`${namespace}/`))) {
    return 'namespace'
  }
  if (repo === undefined) return undefined
  if (typeof repo !== 'string' || repo === '') return 'repo'
  const agrees =
    namespace === undefined ? `/${name}`.endsWith(`/${repo}`) : name === `${String(namespace)}/${repo}`
  return agrees ? undefined : 'repo'
}
