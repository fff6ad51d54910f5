import { isPatternWithin, patternCovers, tagMatches } from '@registry-manager/oci'
import type { FieldFault } from '@registry-manager/http'

/** Makes the tags of a pattern immutable, in the repositories of a pattern. */
export interface TagRule {
  /** Unique in its namespace. */
  readonly name: string
  /** A repository pattern within the namespace. */
  readonly repositories: string
  /** A tag pattern. */
  readonly tags: string
  /** Tag patterns that the rule does not apply to. */
  readonly except?: readonly string[]
}

/** A rule with the namespace that it belongs to. */
export interface NamespaceRule extends TagRule {
  readonly namespace: string
}

/** A tag that a rule keeps from being moved and deleted. */
export interface ProtectedTag {
  readonly tag: string
  /** The name of the rule. */
  readonly rule: string
  readonly namespace: string
}

/** The first of some rules that makes a tag of a repository immutable. */
export function findProtection(
  rules: readonly NamespaceRule[],
  repository: string,
  tag: string,
): ProtectedTag | undefined {
  const rule = rules.find(
    ({ repositories, tags, except = [] }) =>
      patternCovers(repositories, repository) &&
      tagMatches(tags, tag) &&
      !except.some((pattern) => tagMatches(pattern, tag)),
  )
  return rule && { tag, rule: rule.name, namespace: rule.namespace }
}

/** Describes the rule that protects a tag. */
export function describeProtection({ tag, rule, namespace }: ProtectedTag, repository: string): string {
  return `the tag ${tag} of ${repository} is immutable by the rule ${rule} of the namespace ${namespace}`
}

/** The first field of a list of rules that is invalid beyond its schema. */
export function findRuleFault(namespace: string, rules: readonly TagRule[]): FieldFault | undefined {
  const names = new Set<string>()
  for (const [at, { name, repositories }] of rules.entries()) {
    if (names.has(name))
      return { field: `rules.${at}.name`, detail: `must be unique: another rule has the name ${name}` }
    names.add(name)
    if (isPatternWithin(namespace, repositories)) continue
    const detail = `must be a pattern within ${namespace}, such as ${namespace}/*, not ${repositories}`
    return { field: `rules.${at}.repositories`, detail }
  }
  return undefined
}
