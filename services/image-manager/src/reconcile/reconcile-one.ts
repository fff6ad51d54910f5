import { isTag } from '@registry-manager/oci'
import type { RegistryClient } from '@registry-manager/registry-client'
import type { DeleteManifestPorts } from '../delete/delete-manifest.ts'
import { deleteManifest } from '../delete/delete-manifest.ts'
import { TOMBSTONE_ANNOTATION } from '../delete/tombstone.ts'
import { findProtection } from '../immutability/tag-rule.ts'
import { UnrecordableError, ensureManifest } from '../index/ensure-manifest.ts'
import type { PageRequest } from '../index/repository.ts'
import type { TagState } from '../index/sync-tag.ts'
import { syncTag } from '../index/sync-tag.ts'
import { verifyManifest } from '../index/verify-manifest.ts'
import type { AdoptTagPorts } from './adopt-tag.ts'
import { adoptTag, readTag, verifyAdopted } from './adopt-tag.ts'
import type { AdoptionBatch, Step } from './adoption-batch.ts'
import { readPages } from './paginate.ts'
import type { WorkItem, WorkItemPorts } from './work-item.ts'
import { attempt } from './work-item.ts'

/** The state of a repository in the index before the registry is read. */
export interface RepositoryState {
  /** Whether the index has the repository, even if it is being deleted. */
  readonly exists: boolean
  readonly isBeingDeleted: boolean
  /** Whether the repository, or a manifest of it, is in the list of failures. */
  readonly hasFailures: boolean
}

export type ReconcileRepositoryPorts = DeleteManifestPorts &
  AdoptTagPorts &
  WorkItemPorts & {
    readonly registry: Pick<RegistryClient, 'listTags'>
    readonly tags: {
      findTags(repository: string, names: readonly string[]): Promise<ReadonlyMap<string, TagState>>
    }
    readonly adoption: { countDeletions(): Promise<string> }
    readonly comparison: {
      listTagNames(repository: string, page: PageRequest): Promise<string[]>
      listMissingChildren(repository: string, page: PageRequest): Promise<string[]>
      listUntagged(repository: string, page: PageRequest): Promise<string[]>
      listEmptyAnnotated(repository: string, annotation: string): Promise<string[]>
    }
    readonly failures: {
      listFailures(
        repository: string,
        limit: number,
      ): Promise<ReadonlyMap<string, { readonly isDue: boolean }>>
      deleteFailure(item: Pick<WorkItem, 'kind' | 'item'>): Promise<void>
    }
    /** Whether failed items are retried before they are due. */
    readonly retriesAll: boolean
    /** Runs between two steps. An error of it ends the work. */
    readonly checkpoint: () => Promise<void>
  }

/** Maximum number of failures of one repository that are read. */
const MAX_FAILURES = 10_000
/** Number of tags of the index that are read at once. */
const TAGS_AT_ONCE = 500

/** A repository whose tags are synced, once the batch is flushed. */
export interface SyncedRepository {
  readonly repository: string
  /** The tags that were adopted, with their digests. They are not verified. */
  readonly adopted: ReadonlyMap<string, string>
  readonly step: Step
  /** Deletes the failures of items that were not tried: they no longer exist, or are the repository as a whole. */
  readonly forgetFailures: () => Promise<void>
}

/**
 * Syncs the tags of one repository with the registry. Pushes and deletions use the same steps, so it may run beside
 * them. Leaves tags that the index does not have to the batch. Returns undefined, and does nothing, if the repository
 * is being deleted, or if neither the registry nor the index has content of it.
 */
export async function syncRepository(
  ports: ReconcileRepositoryPorts,
  repository: string,
  { exists, isBeingDeleted, hasFailures }: RepositoryState,
  batch: AdoptionBatch,
): Promise<SyncedRepository | undefined> {
  const { registry, failures, counts } = ports
  if (isBeingDeleted) return undefined
  const tags = new Set(await registry.listTags(repository))
  // The catalog of distribution keeps the names of repositories without content.
  if (tags.size === 0 && !exists) return undefined
  counts.repositories += 1

  const failed = hasFailures ? await failures.listFailures(repository, MAX_FAILURES) : NO_FAILURES
  const tried = new Set<string>()
  /** A step that failed before and is not due yet is skipped. */
  const step: Step = async (reference, work) => {
    await ports.checkpoint()
    const item = { kind: 'manifest', item: `${repository} ${reference}`, repository, reference } as const
    tried.add(item.item)
    const earlier = failed.get(item.item)
    if (earlier !== undefined && !earlier.isDue && !ports.retriesAll) return earlier
    const error = await attempt(ports, item, work)
    if (earlier !== undefined && error === undefined) await failures.deleteFailure(item)
    return error
  }
  const forgetFailures = async () => {
    for (const item of failed.keys()) {
      if (tried.has(item)) continue
      const kind = item === repository ? 'repository' : 'manifest'
      await failures.deleteFailure({ kind, item })
    }
  }
  const adopted = new Map<string, string>()
  const adopt = async (tag: string) => {
    const found = await readTag(ports, repository, tag)
    if (found === undefined) return
    if (!failed.has(`${repository} ${tag}`)) return batch.add(found, { step, adopted })
    await adoptTag(ports, found)
    adopted.set(tag, found.manifest.digest)
  }
  await syncTags(ports, repository, { tags, isKnown: exists, step, adopt })
  return { repository, adopted, step, forgetFailures }
}

/**
 * Completes a repository whose tags are synced: finishes interrupted deletions of tags, adopts the manifests that image
 * indexes reference, and verifies the manifests without a tag. If a deletion ran since before the sync, verifies the
 * adopted tags: the deletion may not have found them.
 */
export async function completeRepository(
  ports: ReconcileRepositoryPorts,
  { repository, adopted, step, forgetFailures }: SyncedRepository,
  {
    isIncomplete,
    deletions,
  }: {
    readonly isIncomplete: boolean
    readonly deletions: { readonly before: string; readonly after: string }
  },
): Promise<void> {
  const { comparison, adoption } = ports
  const children = new Set<string>()
  if (isIncomplete) {
    await finishTagDeletions(ports, repository, step)
    await adoptChildren(ports, repository, children, step)
    for await (const digest of readPages((page) => comparison.listUntagged(repository, page))) {
      if (!children.has(digest)) await step(digest, () => verifyManifest(ports, repository, digest))
    }
  }
  const after = isIncomplete ? await adoption.countDeletions() : deletions.after
  if (after !== deletions.before) {
    for (const [tag, digest] of adopted) await step(tag, () => verifyAdopted(ports, repository, tag, digest))
    for (const digest of children) await step(digest, () => verifyManifest(ports, repository, digest))
  }
  await forgetFailures()
}

const NO_FAILURES: ReadonlyMap<string, { readonly isDue: boolean }> = new Map()

/** Syncs the tags of the registry and of the index. `adopt`: adopts one that the index does not have. */
async function syncTags(
  ports: ReconcileRepositoryPorts,
  repository: string,
  {
    tags,
    isKnown,
    step,
    adopt,
  }: {
    readonly tags: ReadonlySet<string>
    readonly isKnown: boolean
    readonly step: Step
    readonly adopt: (tag: string) => Promise<void>
  },
): Promise<void> {
  const { comparison, counts } = ports
  /** Syncs a tag that the index has. Counts an immutable tag that does not have its digest any more. */
  const syncKnown = async (tag: string, state: TagState) => {
    const digest = await syncTag(ports, repository, tag, { state })
    if (state.digest === undefined || digest === state.digest) return
    const rules = await ports.tagRules.listRules(repository)
    if (findProtection(rules, repository, tag) !== undefined) counts.immutableTagsChanged += 1
  }
  const sync = async (tag: string, state?: TagState) => {
    counts.tags += 1
    await step(tag, () => (state === undefined ? adopt(tag) : syncKnown(tag, state)))
  }
  const valid = [...tags].filter((tag) => isTag(tag))
  for (let at = 0; at < valid.length; at += TAGS_AT_ONCE) {
    const some = valid.slice(at, at + TAGS_AT_ONCE)
    const known = isKnown ? await ports.tags.findTags(repository, some) : undefined
    for (const tag of some) await sync(tag, known?.get(tag))
  }
  for (const tag of tags) {
    if (isTag(tag)) continue
    const error = new UnrecordableError(`the registry lists ${JSON.stringify(tag)}, which is not a valid tag`)
    await step(tag, () => Promise.reject(error))
  }
  if (!isKnown) return
  for await (const tag of readPages((page) => comparison.listTagNames(repository, page))) {
    if (tags.has(tag)) continue
    counts.tags += 1
    await step(tag, async () => syncKnown(tag, await ports.tags.findTag(repository, tag)))
  }
}

/** Finishes deletions of tags that were interrupted after they wrote a tombstone. */
async function finishTagDeletions(
  ports: ReconcileRepositoryPorts,
  repository: string,
  step: Step,
): Promise<void> {
  for (const digest of await ports.comparison.listEmptyAnnotated(repository, TOMBSTONE_ANNOTATION)) {
    const error = await step(digest, () =>
      deleteManifest(ports, repository, digest, { removesEmptyRepository: true }),
    )
    if (error === undefined) ports.counts.deletionsFinished += 1
  }
}

/** Adopts the manifests that image indexes reference, and adds their digests to `visited`. */
async function adoptChildren(
  ports: ReconcileRepositoryPorts,
  repository: string,
  visited: Set<string>,
  step: Step,
): Promise<void> {
  const readPage = (page: PageRequest) => ports.comparison.listMissingChildren(repository, page)
  // An adopted manifest may be an image index with further children: repeated until no new child is found.
  for (let before = -1; before < visited.size;) {
    before = visited.size
    for await (const digest of readPages(readPage)) {
      if (visited.has(digest)) continue
      visited.add(digest)
      await step(digest, () => ensureManifest(ports, repository, digest))
    }
  }
}
