/** Patterns of tags as a regular expression, for JSON schemas. */
export const TAG_GLOB_PATTERN = '^[a-zA-Z0-9_.*-]{1,128}$'

/**
 * Whether a tag matches a pattern: `*` stands for any number of characters, also for none, and every other character
 * for itself. Takes time in proportion to the product of both lengths at most.
 */
export function tagMatches(pattern: string, tag: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  const last = rest.pop()
  if (last === undefined) return tag === pattern
  if (tag.length < first.length + last.length || !tag.startsWith(first) || !tag.endsWith(last)) return false
  const end = tag.length - last.length
  let at = first.length
  for (const part of rest) {
    const found = tag.indexOf(part, at)
    if (found === -1 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}

/**
 * Joins patterns, all of which a tag must match; undefined for none. No tag contains `&`, so a previous version, which
 * takes the result for one pattern, permits nothing.
 */
export function joinTagPatterns(...patterns: readonly (string | undefined)[]): string | undefined {
  const given = new Set(patterns.filter((pattern) => pattern !== undefined))
  return given.size === 0 ? undefined : [...given].join('&')
}

/** Whether a tag matches all patterns that `joinTagPatterns` has joined. */
export function tagMatchesAll(patterns: string, tag: string): boolean {
  return patterns.split('&').every((pattern) => tagMatches(pattern, tag))
}
