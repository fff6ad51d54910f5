import type { Access, RepositoryAction } from './access.ts'
import { REPOSITORY_ACTIONS } from './access.ts'
import { canHoldRepositories, isBelow, isRepositoryName } from './name.ts'

const EVERYTHING = '*'
const ALL_BELOW = '/*'

/** What a pattern stands for. */
export type RepositoryPattern =
  | { readonly kind: 'every' }
  /** All below a prefix of whole path components. */
  | { readonly kind: 'below'; readonly prefix: string }
  | { readonly kind: 'one'; readonly name: string }

/**
 * Reads what stands for repositories: a name, `prefix/*` for all that is below a prefix at any depth (and not the
 * prefix itself), or `*` for every one. Undefined for anything else, and for a prefix too long for a name below it.
 */
export function parseRepositoryPattern(text: string): RepositoryPattern | undefined {
  if (text === EVERYTHING) return { kind: 'every' }
  const prefix = text.endsWith(ALL_BELOW) ? text.slice(0, -ALL_BELOW.length) : undefined
  if (prefix === undefined) return isRepositoryName(text) ? { kind: 'one', name: text } : undefined
  return canHoldRepositories(prefix) ? { kind: 'below', prefix } : undefined
}

/** Whether a pattern stands for a repository; one that is no pattern stands for none. */
export function patternCovers(text: string, repository: string): boolean {
  const pattern = parseRepositoryPattern(text)
  switch (pattern?.kind) {
    case 'every':
      return true
    case 'below':
      return isBelow(pattern.prefix, repository)
    case 'one':
      return pattern.name === repository
    case undefined:
      return false
  }
}

/**
 * What scopes whose names are patterns permit on a repository, in the order in which tokens list it; `push`
 * includes `pull`. Nothing on what is no repository name.
 */
export function permittedByScopes(scopes: readonly Access[], repository: string): RepositoryAction[] {
  if (!isRepositoryName(repository)) return []
  const covering = scopes.filter(({ type, name }) => type === 'repository' && patternCovers(name, repository))
  const permitted = new Set(covering.flatMap(({ actions }) => actions))
  return REPOSITORY_ACTIONS.filter(
    (action) => permitted.has(action) || (action === 'pull' && permitted.has('push')),
  )
}
