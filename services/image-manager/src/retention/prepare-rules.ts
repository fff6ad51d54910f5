import { patternCovers, tagMatches } from '@registry-manager/oci'
import type { Keep, NamespaceRetentionRule } from './retention-rule.ts'
import type { TagMatcher } from './tag-matcher.ts'
import { createTagMatcher } from './tag-matcher.ts'

/** A rule about tags that covers a repository, with its compiled patterns. */
export interface PreparedTagRule {
  readonly name: string
  readonly namespace: string
  readonly tags: string
  readonly except: readonly string[]
  readonly keep: Keep
  readonly matcher: TagMatcher
}

/** A rule about manifests without a tag that covers a repository. */
export interface UntaggedRule {
  readonly name: string
  readonly namespace: string
  readonly days: number
}

export interface PreparedRules {
  readonly tagRules: readonly PreparedTagRule[]
  /** The rule that keeps manifests without a tag for the longest time. Undefined if no rule is about them. */
  readonly untaggedRule: UntaggedRule | undefined
}

/** The rules among the given ones that cover a repository, in their order. */
export function prepareRules(rules: readonly NamespaceRetentionRule[], repository: string): PreparedRules {
  const covering = rules.filter(({ repositories }) => patternCovers(repositories, repository))
  const tagRules = covering.flatMap(({ name, namespace, tags, except = [], keep = {} }) =>
    tags === undefined ? [] : { name, namespace, tags, except, keep, matcher: createTagMatcher(keep) },
  )
  const untagged = covering.flatMap(({ name, namespace, untaggedAfterDays: days }) =>
    days === undefined ? [] : { name, namespace, days },
  )
  const untaggedRule = untagged.toSorted((one, other) => other.days - one.days)[0]
  return { tagRules, untaggedRule }
}

/** Whether a rule covers a tag. */
export function coversTag({ tags, except }: PreparedTagRule, tag: string): boolean {
  return tagMatches(tags, tag) && !except.some((pattern) => tagMatches(pattern, tag))
}
