import { isTag } from '@registry-manager/oci'
import type { RegistryClient } from '@registry-manager/registry-client'
import type { DeleteManifestPorts } from '../delete/delete-manifest.ts'
import { deleteManifest } from '../delete/delete-manifest.ts'
import { TOMBSTONE_ANNOTATION } from '../delete/tombstone.ts'
import { UnrecordableError, ensureManifest } from '../index/ensure-manifest.ts'
import type { PageRequest } from '../index/repository.ts'
import { syncTag } from '../index/sync-tag.ts'
import { verifyManifest } from '../index/verify-manifest.ts'
import { readPages } from './paginate.ts'
import type { WorkItem, WorkItemPorts } from './work-item.ts'
import { attempt } from './work-item.ts'

export type ReconcileRepositoryPorts = DeleteManifestPorts &
  WorkItemPorts & {
    readonly registry: Pick<RegistryClient, 'listTags'>
    readonly deletions: {
      isBeingDeleted(repository: string): Promise<boolean>
    }
    readonly comparison: {
      hasRepository(repository: string): Promise<boolean>
      listTagNames(repository: string, page: PageRequest): Promise<string[]>
      listMissingChildren(repository: string, page: PageRequest): Promise<string[]>
      listUntagged(repository: string, page: PageRequest): Promise<string[]>
      listEmptyAnnotated(repository: string, annotation: string): Promise<string[]>
      markReconciled(repository: string): Promise<void>
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

/** How many failures of one repository are read. */
const MAX_FAILURES = 10_000

/**
 * Brings one repository of the index to the registry's state: syncs all tags, finishes interrupted deletions of tags,
 * adopts the manifests that image indexes reference, and verifies the manifests without a tag. Each step is one that
 * pushes and deletions take as well, so it is safe beside them. Skips a repository that is being deleted.
 */
export async function reconcileRepository(
  ports: ReconcileRepositoryPorts,
  repository: string,
): Promise<void> {
  const { registry, deletions, comparison, failures, counts } = ports
  if (await deletions.isBeingDeleted(repository)) return
  const tags = new Set(await registry.listTags(repository))
  // The catalog of distribution keeps the names of repositories without content.
  if (tags.size === 0 && !(await comparison.hasRepository(repository))) return
  counts.repositories += 1

  const failed = await failures.listFailures(repository, MAX_FAILURES)
  const tried = new Set<string>()
  /** Runs one step; returns its failure. A step that failed before and is not due yet is skipped. */
  const step = async (reference: string, work: () => Promise<unknown>) => {
    await ports.checkpoint()
    const item = { kind: 'manifest', item: `${repository} ${reference}`, repository, reference } as const
    tried.add(item.item)
    const earlier = failed.get(item.item)
    if (earlier !== undefined && !earlier.isDue && !ports.retriesAll) return earlier
    const error = await attempt(ports, item, work)
    if (earlier !== undefined && error === undefined) await failures.deleteFailure(item)
    return error
  }

  const sync = async (tag: string) => {
    counts.tags += 1
    await step(tag, () => syncTag(ports, repository, tag))
  }
  for (const tag of tags) if (isTag(tag)) await sync(tag)
  for (const tag of tags) {
    if (isTag(tag)) continue
    const error = new UnrecordableError(`the registry lists ${JSON.stringify(tag)}, which is not a valid tag`)
    await step(tag, () => Promise.reject(error))
  }
  for await (const tag of readPages((page) => comparison.listTagNames(repository, page))) {
    if (!tags.has(tag)) await sync(tag)
  }

  for (const digest of await comparison.listEmptyAnnotated(repository, TOMBSTONE_ANNOTATION)) {
    const error = await step(digest, () => deleteManifest(ports, repository, digest, { undone: true }))
    if (error === undefined) counts.deletionsFinished += 1
  }

  const visited = new Set<string>()
  // An adopted manifest may be an image index with further children: repeated until no new child is found.
  for (let before = -1; before < visited.size;) {
    before = visited.size
    for await (const digest of readPages((page) => comparison.listMissingChildren(repository, page))) {
      if (visited.has(digest)) continue
      visited.add(digest)
      await step(digest, async () => {
        if (await ensureManifest(ports, repository, digest)) await verifyManifest(ports, repository, digest)
      })
    }
  }

  for await (const digest of readPages((page) => comparison.listUntagged(repository, page))) {
    if (!visited.has(digest)) await step(digest, () => verifyManifest(ports, repository, digest))
  }
  await comparison.markReconciled(repository)
  // Failures of items that no longer exist, and of the repository as a whole.
  for (const item of failed.keys()) {
    if (tried.has(item)) continue
    const kind = item === repository ? 'repository' : 'manifest'
    await failures.deleteFailure({ kind, item })
  }
}
