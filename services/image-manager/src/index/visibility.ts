import { parseRepositoryPattern } from '@registry-manager/oci'
import type { ConditionContext, PrincipalRights } from '@registry-manager/principal'
import { conditionFault, patternsOfScopes, patternsThatAllow } from '@registry-manager/principal'

/** The repositories that a list shows. */
export type Visibility =
  | { readonly kind: 'all' }
  /**
   * Repositories that `patterns` cover, and global repositories: all of them if `global` is true, those that its
   * patterns cover if it is a list, none if it is false.
   */
  | {
      readonly kind: 'patterns'
      readonly patterns: readonly string[]
      readonly global: boolean | readonly string[]
    }

/** Shows no repository: for a token whose conditions do not hold. */
const NOTHING: Visibility = { kind: 'patterns', patterns: [], global: false }

/**
 * The repositories that `GET /v2/_catalog` lists: those that an account may pull. Global repositories are for users; a
 * registry token sees only repositories that its scopes and grants permit.
 */
export function catalogVisibility(account: PrincipalRights, context: ConditionContext): Visibility {
  if (conditionFault(account.conditions ?? {}, context) !== undefined) return NOTHING
  const patterns = patternsThatAllow(account, 'pull', context)
  if ('limitedTo' in account && account.limitedTo !== undefined) {
    return { kind: 'patterns', patterns, global: patternsOfScopes(account.limitedTo, 'pull') }
  }
  return patterns.includes('*') ? { kind: 'all' } : { kind: 'patterns', patterns, global: 'role' in account }
}

/** The repositories that image management lists. Every administrator sees all repositories there (seed 001). */
export function managementVisibility(account: PrincipalRights, context: ConditionContext): Visibility {
  if (!('role' in account) || account.role === 'user') return catalogVisibility(account, context)
  if (conditionFault(account.conditions ?? {}, context) !== undefined) return NOTHING
  if (account.limitedTo === undefined) return { kind: 'all' }
  return { kind: 'patterns', patterns: patternsOfScopes(account.limitedTo, 'pull'), global: false }
}

/** Patterns in the form that queries need: ranges and single names for the database's index on repository names. */
export interface PatternRanges {
  /** A pattern covers every repository. */
  readonly everything: boolean
  /**
   * Prefixes without their slash; they cover everything below them. Without prefixes that lie within another one; in
   * the order of names.
   */
  readonly below: readonly string[]
  readonly names: readonly string[]
}

/** A string that is not a pattern covers nothing. */
export function toRanges(patterns: readonly string[]): PatternRanges {
  const parsed = patterns.map(parseRepositoryPattern)
  const prefixes = parsed.flatMap((pattern) => (pattern?.kind === 'below' ? [pattern.prefix] : []))
  const names = parsed.flatMap((pattern) => (pattern?.kind === 'one' ? [pattern.name] : []))
  return {
    everything: parsed.some((pattern) => pattern?.kind === 'every'),
    below: outermost(prefixes),
    names,
  }
}

/**
 * Leaves out prefixes that lie within another one. The result is ordered so that all names below a prefix precede all
 * names below the next. Byte order: names are ASCII.
 */
export function outermost(given: readonly string[]): string[] {
  const prefixes = given.map((prefix) => `${prefix}/`).toSorted()
  const outer: string[] = []
  for (const prefix of prefixes) {
    // Sorted, a prefix directly precedes those within it.
    if (outer.length === 0 || !prefix.startsWith(outer.at(-1) ?? '')) outer.push(prefix)
  }
  return outer.map((prefix) => prefix.slice(0, -1))
}
