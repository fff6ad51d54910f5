import type { ProtectedTag } from '../immutability/tag-rule.ts'
import type { PreparedTagRule } from './prepare-rules.ts'
import { coversTag } from './prepare-rules.ts'

/** The facts by which retention decides about a tag. */
export interface TagFacts {
  readonly name: string
  readonly pushedAt: Date
  /** The last pull of the tag or of its manifest; null if there was none. */
  readonly pulledAt: Date | null
  /** The manifest of the repository whose digest the tag is named after: the image of a signature, for example. */
  readonly subject: string | null
}

export interface TagContext {
  readonly rules: readonly PreparedTagRule[]
  /** Finds the rule that makes a tag immutable. */
  readonly protect: (tag: string) => ProtectedTag | undefined
  /** Whether a tag is among the last ones that a rule keeps. */
  readonly isAmongLast: (rule: PreparedTagRule, tag: string) => boolean
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** The reason why a tag is kept: a field of `keep`, or a rule for immutable tags. */
export type KeepReason =
  | 'immutable'
  | 'last'
  | 'pushedWithinDays'
  | 'pulledWithinDays'
  | 'semver'
  | 'matching'

export type TagDecision =
  | {
      readonly outcome: 'kept'
      readonly rule: string
      readonly namespace: string
      readonly reason: KeepReason
    }
  | { readonly outcome: 'kept'; readonly reason: 'subject'; readonly by: string }
  /** The first rule that covers the tag. */
  | { readonly outcome: 'deleted'; readonly rule: string; readonly namespace: string }
  /** No rule covers the tag, so it stays. */
  | { readonly outcome: 'uncovered' }

const DAY_MS = 86_400_000

/**
 * Decides about a tag. It is deleted only if a rule covers it, and no covering rule and no immutability rule keeps it.
 */
export function decideTag(facts: TagFacts, { rules, protect, isAmongLast, now }: TagContext): TagDecision {
  const covering = rules.filter((rule) => coversTag(rule, facts.name))
  const [first] = covering
  if (first === undefined) return { outcome: 'uncovered' }
  const immutable = protect(facts.name)
  if (immutable !== undefined) {
    const { rule, namespace } = immutable
    return { outcome: 'kept', rule, namespace, reason: 'immutable' }
  }
  // Clients that do not know the Referrers API store signatures and SBOMs under such tags.
  // Source: OCI distribution-spec 1.1, "Referrers Tag Schema"; cosign's specification, "Signature Specification".
  if (facts.subject !== null) return { outcome: 'kept', reason: 'subject', by: facts.subject }
  for (const rule of covering) {
    const reason = reasonToKeep(facts, rule, isAmongLast, now)
    if (reason !== undefined) return { outcome: 'kept', rule: rule.name, namespace: rule.namespace, reason }
  }
  return { outcome: 'deleted', rule: first.name, namespace: first.namespace }
}

function reasonToKeep(
  { name, pushedAt, pulledAt }: TagFacts,
  rule: PreparedTagRule,
  isAmongLast: TagContext['isAmongLast'],
  now: number,
): KeepReason | undefined {
  const { last, pushedWithinDays, pulledWithinDays } = rule.keep
  if (last !== undefined && isAmongLast(rule, name)) return 'last'
  if (isWithin(pushedAt, pushedWithinDays, now)) return 'pushedWithinDays'
  if (isWithin(pulledAt, pulledWithinDays, now)) return 'pulledWithinDays'
  if (rule.matcher.isInRange(name)) return 'semver'
  return rule.matcher.isMatch(name) ? 'matching' : undefined
}

/** Whether a time is within some days before now. */
function isWithin(time: Date | null, days: number | undefined, now: number): boolean {
  return time !== null && days !== undefined && time.getTime() >= now - days * DAY_MS
}
