import type { FieldFault } from '@registry-manager/http'
import { isPatternWithin } from '@registry-manager/oci'
import { findPatternFault } from './tag-matcher.ts'

/** The conditions that keep a tag. A tag is kept if one of them holds. */
export interface Keep {
  /** Keeps, in each repository, this many of the tags that the rule covers: those that were pushed last. */
  readonly last?: number
  readonly pushedWithinDays?: number
  /** Counts pulls of the tag and of its manifest. */
  readonly pulledWithinDays?: number
  /** Keeps tags that are versions in a range of node-semver. */
  readonly semver?: string
  /** Keeps tags that a regular expression (RE2) matches as a whole. */
  readonly matching?: string
}

/**
 * A rule about the tags of some repositories, about their manifests without a tag, or both. Retention deletes a tag if
 * a rule covers it and no rule that covers it keeps it.
 */
export interface RetentionRule {
  /** Unique in its namespace. */
  readonly name: string
  /** A repository pattern within the namespace. */
  readonly repositories: string
  /** A pattern of the tags that the rule covers. */
  readonly tags?: string
  /** Patterns of tags that the rule does not cover. */
  readonly except?: readonly string[]
  readonly keep?: Keep
  readonly untaggedAfterDays?: number
}

/** A rule with the namespace that it belongs to. */
export interface NamespaceRetentionRule extends RetentionRule {
  readonly namespace: string
}

/** The first field of a list of rules that is invalid beyond its schema. */
export function findRetentionFault(
  namespace: string,
  rules: readonly RetentionRule[],
): FieldFault | undefined {
  const names = new Set<string>()
  for (const [at, rule] of rules.entries()) {
    const { name, repositories } = rule
    if (names.has(name))
      return { field: `rules.${at}.name`, detail: `must be unique: another rule has the name ${name}` }
    names.add(name)
    if (!isPatternWithin(namespace, repositories)) {
      const detail = `must be a pattern within ${namespace}, such as ${namespace}/*, not ${repositories}`
      return { field: `rules.${at}.repositories`, detail }
    }
    const fault = findFault(rule)
    if (fault !== undefined) return { ...fault, field: `rules.${at}.${fault.field}` }
  }
  return undefined
}

function findFault({ tags, except, keep, untaggedAfterDays }: RetentionRule): FieldFault | undefined {
  if (tags === undefined && untaggedAfterDays === undefined)
    return { field: 'tags', detail: 'must be given, unless the rule has untaggedAfterDays' }
  if (tags === undefined) {
    if (keep !== undefined) return { field: 'keep', detail: 'must be omitted in a rule without tags' }
    if (except !== undefined) return { field: 'except', detail: 'must be omitted in a rule without tags' }
    return undefined
  }
  if (keep === undefined || Object.keys(keep).length === 0)
    return {
      field: 'keep',
      detail: 'must keep some tags: otherwise the rule would delete every tag that it covers',
    }
  const fault = findPatternFault(keep)
  return fault && { ...fault, field: `keep.${fault.field}` }
}
