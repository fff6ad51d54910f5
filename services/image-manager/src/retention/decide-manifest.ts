import type { UntaggedRule } from './prepare-rules.ts'

/** The facts by which retention decides about a manifest without a tag. */
export interface UntaggedManifest {
  readonly digest: string
  /** The time of its first push, its last pull, or its last loss of a tag, whichever is latest. */
  readonly usedAt: Date
  /** An image index of the repository that lists it. */
  readonly index: string | null
  /** Its subject, if the repository has it: the image of a signature, for example. */
  readonly subject: string | null
}

export type ManifestDecision =
  | { readonly outcome: 'kept'; readonly reason: 'index' | 'subject'; readonly by: string }
  | {
      readonly outcome: 'kept'
      readonly reason: 'untaggedAfterDays'
      readonly rule: string
      readonly namespace: string
    }
  | { readonly outcome: 'deleted'; readonly rule: string; readonly namespace: string }
  /** No rule is about manifests without a tag. */
  | { readonly outcome: 'uncovered' }

const DAY_MS = 86_400_000

/**
 * Decides about a manifest without a tag. It stays if an image index lists it, or if the repository has its subject.
 */
export function decideManifest(
  { usedAt, index, subject }: UntaggedManifest,
  untaggedRule: UntaggedRule | undefined,
  now: number,
): ManifestDecision {
  if (untaggedRule === undefined) return { outcome: 'uncovered' }
  if (index !== null) return { outcome: 'kept', reason: 'index', by: index }
  if (subject !== null) return { outcome: 'kept', reason: 'subject', by: subject }
  const { name: rule, namespace, days } = untaggedRule
  const isOld = usedAt.getTime() < now - days * DAY_MS
  return isOld
    ? { outcome: 'deleted', rule, namespace }
    : { outcome: 'kept', reason: 'untaggedAfterDays', rule, namespace }
}
