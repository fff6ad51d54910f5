import type { TagRulesPort } from '../immutability/find-protected.ts'
import { findProtection } from '../immutability/tag-rule.ts'
import type { ManifestDecision, UntaggedManifest } from './decide-manifest.ts'
import { decideManifest } from './decide-manifest.ts'
import type { TagContext, TagDecision, TagFacts } from './decide-tag.ts'
import { decideTag } from './decide-tag.ts'
import type { PreparedTagRule } from './prepare-rules.ts'
import { coversTag, prepareRules } from './prepare-rules.ts'
import type { NamespaceRetentionRule } from './retention-rule.ts'

export interface ExaminedRepository {
  readonly id: string
  readonly name: string
}

export interface CandidateTag extends TagFacts {
  readonly digest: string
  /** Changes with every push of the tag. */
  readonly revision: string
  /** Whether a push of the tag has begun. */
  readonly isPending: boolean
}

/** A manifest of a page; only those without a tag are candidates. */
export interface CandidateManifest extends UntaggedManifest {
  readonly sha512: string
  readonly isTagged: boolean
  /** Changes with every push of the manifest. */
  readonly revision: string
  /** Whether a push of the manifest, or of one that needs it, has begun. */
  readonly isPending: boolean
}

export interface ExamineRepositoryPorts extends TagRulesPort {
  readonly candidates: {
    /** Tags after a name, in byte order. */
    listTags(repositoryId: string, after: string, limit: number): Promise<readonly CandidateTag[]>
    /** Manifests after a digest, in byte order. */
    listManifests(repositoryId: string, after: string, limit: number): Promise<readonly CandidateManifest[]>
    /** The names of up to `limit` tags that match `tags` and no pattern of `except`: those that were pushed last. */
    listLastPushed(
      repositoryId: string,
      tags: string,
      except: readonly string[],
      limit: number,
    ): Promise<readonly string[]>
  }
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface ExaminedTag {
  readonly candidate: CandidateTag
  readonly decision: TagDecision
}
export interface ExaminedManifest {
  readonly candidate: CandidateManifest
  readonly decision: ManifestDecision
}

export interface RepositoryExamination {
  /** Decides about one tag. */
  decideTag(tag: TagFacts): TagDecision
  /** Decides about one page of tags. `last`: the last tag of a full page. */
  examineTags(after: string, limit: number): Promise<Examined<ExaminedTag>>
  /** Decides about the manifests without a tag in one page of manifests. `last`: the last manifest of a full page. */
  examineManifests(after: string, limit: number): Promise<Examined<ExaminedManifest>>
  decideManifest(manifest: UntaggedManifest): ManifestDecision
  /** Whether any rule covers tags, or manifests without a tag. */
  readonly covers: { readonly tags: boolean; readonly manifests: boolean }
}

export interface Examined<Item> {
  readonly items: readonly Item[]
  readonly last: string | undefined
}

/** Prepares decisions about a repository by some rules. Use them soon: the sets of the last tags become outdated. */
export async function examineRepository(
  { tagRules, candidates, now }: ExamineRepositoryPorts,
  { id, name: repository }: ExaminedRepository,
  retentionRules: readonly NamespaceRetentionRule[],
): Promise<RepositoryExamination> {
  const { tagRules: rules, untaggedRule } = prepareRules(retentionRules, repository)
  const immutability = rules.length === 0 ? [] : await tagRules.listRules(repository)
  const lastTags = new Map<PreparedTagRule, ReadonlySet<string>>()
  for (const rule of rules) {
    const { tags, except, keep } = rule
    if (keep.last === undefined) continue
    lastTags.set(rule, new Set(await candidates.listLastPushed(id, tags, except, keep.last)))
  }
  const context = (): TagContext => ({
    rules,
    protect: (tag) => findProtection(immutability, repository, tag),
    isAmongLast: (rule, tag) => lastTags.get(rule)?.has(tag) === true && coversTag(rule, tag),
    now: now(),
  })
  return {
    covers: { tags: rules.length > 0, manifests: untaggedRule !== undefined },
    decideTag: (tag) => decideTag(tag, context()),
    decideManifest: (manifest) => decideManifest(manifest, untaggedRule, now()),
    async examineTags(after, limit) {
      const page = await candidates.listTags(id, after, limit)
      const at = context()
      const items = page.map((candidate) => ({ candidate, decision: decideTag(candidate, at) }))
      return { items, last: page.length < limit ? undefined : page.at(-1)?.name }
    },
    async examineManifests(after, limit) {
      const page = await candidates.listManifests(id, after, limit)
      const time = now()
      const items = page
        .filter(({ isTagged }) => !isTagged)
        .map((candidate) => ({ candidate, decision: decideManifest(candidate, untaggedRule, time) }))
      return { items, last: page.length < limit ? undefined : page.at(-1)?.digest }
    },
  }
}
