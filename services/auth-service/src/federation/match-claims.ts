import { tagMatches as matchesPattern } from '@registry-manager/oci'

/**
 * Whether a token's claims match all patterns of a trust rule. `*` in a pattern matches any run of characters, also an
 * empty one and one with `/`. Only claims that are strings match; a number, a list or an object never matches.
 */
export function matchesClaims(
  patterns: Readonly<Record<string, string>>,
  claims: Readonly<Record<string, unknown>>,
): boolean {
  return Object.entries(patterns).every(([name, pattern]) => {
    const value = Object.hasOwn(claims, name) ? claims[name] : undefined
    return typeof value === 'string' && matchesPattern(pattern, value)
  })
}
