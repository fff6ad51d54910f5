import type { Access, RepositoryAction } from './access.ts'
import { REPOSITORY_ACTIONS, includesAction } from './access.ts'
import {
  COMPONENT_PATTERN,
  NOT_RESERVED_PATTERN,
  canHoldRepositories,
  isBelow,
  isRepositoryName,
  namespaceCovers,
} from './name.ts'

const EVERYTHING = '*'
const ALL_BELOW = '/*'

/**
 * The patterns that `parseRepositoryPattern` accepts, as a regular expression for JSON schemas. Their length is
 * limited, too.
 */
export const SCOPE_NAME_PATTERN = `^(?:\\*|${NOT_RESERVED_PATTERN}${COMPONENT_PATTERN}(?:/${COMPONENT_PATTERN})*(?:/\\*)?)$`

/** A parsed pattern of repository names. */
export type RepositoryPattern =
  | { readonly kind: 'every' }
  /** Every repository below a prefix, by whole path components. */
  | { readonly kind: 'below'; readonly prefix: string }
  | { readonly kind: 'one'; readonly name: string }

/**
 * Parses a pattern: a repository name; `prefix/*` for every repository below a prefix at any depth, without the prefix
 * itself; or `*` for every repository. Undefined for any other string, and for a prefix that is too long for a name
 * below it.
 */
export function parseRepositoryPattern(text: string): RepositoryPattern | undefined {
  if (text === EVERYTHING) return { kind: 'every' }
  const prefix = text.endsWith(ALL_BELOW) ? text.slice(0, -ALL_BELOW.length) : undefined
  if (prefix === undefined) return isRepositoryName(text) ? { kind: 'one', name: text } : undefined
  return canHoldRepositories(prefix) ? { kind: 'below', prefix } : undefined
}

/** Whether a pattern covers a repository. A string that is not a pattern covers none. */
export function patternCovers(text: string, repository: string): boolean {
  if (text === EVERYTHING) return true
  const isMatch = text.endsWith(ALL_BELOW) ? repository.startsWith(text.slice(0, -1)) : repository === text
  // Parsed last: an account may have thousands of patterns, and nearly none of them matches.
  return isMatch && parseRepositoryPattern(text) !== undefined
}

/** Whether a pattern covers only repositories of a namespace, as `namespaceCovers` decides. */
export function isPatternWithin(namespace: string, text: string): boolean {
  const pattern = parseRepositoryPattern(text)
  if (pattern?.kind === 'one') return namespaceCovers(namespace, pattern.name)
  return pattern?.kind === 'below' && (pattern.prefix === namespace || isBelow(namespace, pattern.prefix))
}

/** Patterns that together cover exactly the repositories which both lists cover. */
export function intersectPatterns(some: readonly string[], others: readonly string[]): string[] {
  const theirs = others.flatMap(toParsed)
  const common = some.flatMap(toParsed).flatMap((one) =>
    theirs.flatMap((other) => {
      if (includesPattern(one.pattern, other.pattern)) return other.text
      return includesPattern(other.pattern, one.pattern) ? one.text : []
    }),
  )
  return [...new Set(common)]
}

function toParsed(text: string): { readonly text: string; readonly pattern: RepositoryPattern }[] {
  const pattern = parseRepositoryPattern(text)
  return pattern === undefined ? [] : [{ text, pattern }]
}

/**
 * Whether a pattern covers all repositories that another one covers. Of two patterns that overlap, one includes the
 * other.
 */
function includesPattern(pattern: RepositoryPattern, other: RepositoryPattern): boolean {
  switch (pattern.kind) {
    case 'every':
      return true
    case 'below':
      if (other.kind === 'one') return isBelow(pattern.prefix, other.name)
      return (
        other.kind === 'below' && (other.prefix === pattern.prefix || isBelow(pattern.prefix, other.prefix))
      )
    case 'one':
      return other.kind === 'one' && other.name === pattern.name
  }
}

/**
 * The actions that scopes with patterns permit on a repository, in the order of REPOSITORY_ACTIONS. `push` includes
 * `pull`. None for an invalid repository name.
 */
export function permittedByScopes(scopes: readonly Access[], repository: string): RepositoryAction[] {
  if (!isRepositoryName(repository)) return []
  const covering = scopes.filter(({ type, name }) => type === 'repository' && patternCovers(name, repository))
  const permitted = covering.flatMap(({ actions }) => actions)
  return REPOSITORY_ACTIONS.filter((action) => includesAction(permitted, action))
}
