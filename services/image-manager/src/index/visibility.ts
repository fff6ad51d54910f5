import type { Access } from '@registry-manager/oci'
import { includesAction, intersectPatterns, parseRepositoryPattern } from '@registry-manager/oci'
import type { ConditionContext, PrincipalRights } from '@registry-manager/principal'
import { patternsThatAllow } from '@registry-manager/principal'

/** Which repositories a list shows. */
export type Visibility =
  | { readonly kind: 'all' }
  /** Those that `patterns` cover, and global ones if `global` is set: all of them, or those that its patterns cover. */
  | {
      readonly kind: 'patterns'
      readonly patterns: readonly string[]
      readonly global: boolean | readonly string[]
    }

/**
 * What `GET /v2/_catalog` lists: what an account may pull. Global repositories are for users; a registry token sees
 * only what its scopes and grants permit.
 */
export function catalogVisibility(account: PrincipalRights, context: ConditionContext): Visibility {
  const patterns = patternsThatAllow(account, 'pull', context)
  if ('limitedTo' in account && account.limitedTo !== undefined) {
    const limits = pullable(account.limitedTo)
    return { kind: 'patterns', patterns: intersectPatterns(patterns, limits), global: limits }
  }
  return patterns.includes('*') ? { kind: 'all' } : { kind: 'patterns', patterns, global: 'role' in account }
}

/** What image management lists. Every administrator sees all repositories there (seed 001). */
export function managementVisibility(account: PrincipalRights, context: ConditionContext): Visibility {
  if (!('role' in account) || account.role === 'user') return catalogVisibility(account, context)
  if (account.limitedTo === undefined) return { kind: 'all' }
  return { kind: 'patterns', patterns: pullable(account.limitedTo), global: false }
}

/** The patterns of scopes that permit pulls. */
function pullable(scopes: readonly Access[]): string[] {
  return scopes.filter(({ actions }) => includesAction(actions, 'pull')).map(({ name }) => name)
}

/** Patterns as an index on names serves them. */
export interface PatternRanges {
  /** A pattern covers every repository. */
  readonly everything: boolean
  /** Prefixes without their slash: everything below them is covered. Outermost ones only, in the order of names. */
  readonly below: readonly string[]
  readonly names: readonly string[]
}

/** Text that is not a pattern covers nothing. */
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
