import type { FieldFault } from '@registry-manager/http'
import { RE2JS } from 're2js'
import { Range, parse } from 'semver'

/*
 * Semver ranges and regular expressions of rules. RE2 matches in linear time. Its program is limited, so that a rule
 * cannot need more than some microseconds for each character of a tag.
 */

/** Maximum number of instructions of a compiled regular expression. A usual one has fewer than 50. */
const MAX_PROGRAM = 500

export interface TagMatcher {
  /** Whether the tag is a version in the range. A tag that is no complete version never is. */
  isInRange(tag: string): boolean
  /** Whether the regular expression matches the whole tag. */
  isMatch(tag: string): boolean
}

export interface TagPatterns {
  readonly semver?: string | undefined
  readonly matching?: string | undefined
}

/** Compiles the patterns of a rule. Throws if `findPatternFault` finds a fault. */
export function createTagMatcher({ semver, matching }: TagPatterns): TagMatcher {
  const range = semver === undefined ? undefined : new Range(semver)
  const expression = matching === undefined ? undefined : RE2JS.compile(matching)
  return {
    isInRange(tag) {
      const version = range && parse(tag)
      return version != null && range?.test(version) === true
    },
    isMatch: (tag) => expression?.testExact(tag) === true,
  }
}

/** Returns the fault of the first invalid pattern. */
export function findPatternFault({ semver, matching }: TagPatterns): FieldFault | undefined {
  if (semver !== undefined && !isRange(semver))
    return { field: 'semver', detail: `must be a range of versions such as >=1.0.0 or ^2.1, not ${semver}` }
  if (matching === undefined) return undefined
  try {
    if (RE2JS.compile(matching).programSize() <= MAX_PROGRAM) return undefined
  } catch (error) {
    const { message } = error as Error
    return { field: 'matching', detail: `must be a regular expression of RE2 such as v[0-9]+: ${message}` }
  }
  return {
    field: 'matching',
    detail: 'must be a simpler regular expression: it has too many repetitions or alternatives',
  }
}

/** node-semver takes a blank range for `*`, which would keep every version. */
function isRange(text: string): boolean {
  try {
    return text.trim() !== '' && new Range(text).range !== undefined
  } catch {
    return false
  }
}
