import type { TagRulesPort } from '../immutability/find-protected.ts'
import type { ProtectedTag } from '../immutability/tag-rule.ts'
import { findProtection } from '../immutability/tag-rule.ts'
import { isImageIndex } from '../index/manifest.ts'
import type { PageRequest } from '../index/repository.ts'
import type { FillEntryPorts } from '../trash/fill-entry.ts'
import { fillFromRepository } from '../trash/fill-entry.ts'
import type { TrashEntry } from '../trash/trash-entry.ts'
import { deleteBlobs } from './delete-blobs.ts'
import { deleteUnreferenced } from './delete-orphans.ts'
import type { DeleteUnindexedPorts } from './delete-unindexed.ts'
import { deleteUnindexed } from './delete-unindexed.ts'

/** A manifest of the index at a revision, which changes with every write. */
export interface IndexedManifest {
  readonly digest: string
  readonly mediaType: string
  readonly revision: string
}

export interface FinishDeletionPorts extends DeleteUnindexedPorts, FillEntryPorts {
  readonly registry: DeleteUnindexedPorts['registry'] & FillEntryPorts['registry']
  readonly blobAliases: DeleteUnindexedPorts['blobAliases'] & FillEntryPorts['blobAliases']
  /** The entry of the trash that the deletion fills. Undefined without a trash. */
  readonly trashEntries: { findFilling(repositoryId: string): Promise<TrashEntry | undefined> }
  readonly trashContents: FillEntryPorts['trashContents'] & {
    copyAgain(entry: TrashEntry, digests: readonly string[]): Promise<number>
  }
  readonly removedContents: {
    listManifests(repositoryId: string, page: PageRequest): Promise<IndexedManifest[]>
    /** Blobs that only these manifests of the repository reference. */
    listOwnBlobs(repositoryId: string, manifests: readonly string[], page: PageRequest): Promise<string[]>
    /** Removes the rows of manifests that are at the given revisions. */
    removeManifests(deletion: Deletion, manifests: readonly IndexedManifest[]): Promise<void>
  }
  readonly blobs: DeleteUnindexedPorts['blobs'] & {
    listBlobs(repository: string, after: string, limit: number): Promise<string[]>
    markOrphans(repository: string, digests: readonly string[]): Promise<void>
  }
  readonly repositories: {
    /**
     * Removes the row of a repository without manifests, and keeps its entry of the trash. False if it has manifests.
     */
    removeRepository(repository: string): Promise<boolean>
  }
}

export interface DeleteRepositoryPorts extends FinishDeletionPorts, TagRulesPort {
  readonly deletions: FinishDeletionPorts['deletions'] & {
    /**
     * Marks the repository as being deleted, unless `protect` finds that one of its tags, pending ones included, is
     * immutable. Undefined if the index knows nothing of the repository. Resumes a deletion that has begun. The content
     * stays in the trash for `trashDays`.
     */
    beginDeletion(
      repository: string,
      options: {
        readonly protect?: ((tag: string) => ProtectedTag | undefined) | undefined
        readonly trashDays: number
      },
    ): Promise<{ readonly id: string } | { readonly protectedTag: ProtectedTag } | undefined>
  }
}

export interface Deletion {
  readonly id: string
  /** Name of the repository. */
  readonly name: string
}

/** Number of blobs that are read from the index and deleted at once. */
const PAGE_SIZE = 500
/** Number of manifests that are read at once, and of those that one transaction removes. */
const [READ_MANIFESTS, REMOVED_MANIFESTS] = [1000, 100]

/**
 * Deletes a repository, in this order: copies its manifests to the trash, if `trashDays` is not 0; deletes its image
 * indexes, and then its other manifests, in pages (`deletePage`); the other blobs that were uploaded or mounted there,
 * because the next owner of the name could pull them by digest; the content that the registry's tags still reach; and
 * its row in the index. Resumes an interrupted deletion. Deletes concurrent pushes that end before it, too. Returns an
 * immutable tag of the repository, if it has one; then nothing is deleted.
 */
export async function deleteRepository(
  ports: DeleteRepositoryPorts,
  name: string,
  trashDays = 0,
): Promise<ProtectedTag | undefined> {
  const rules = await ports.tagRules.listRules(name)
  const protect = rules.length === 0 ? undefined : (tag: string) => findProtection(rules, name, tag)
  const begun = await ports.deletions.beginDeletion(name, { protect, trashDays })
  if (begun === undefined) return undefined
  if ('protectedTag' in begun) return begun.protectedTag
  await finishDeletion(ports, { id: begun.id, name })
  return undefined
}

/**
 * Resumes a deletion that has begun. Stops if another process finished the deletion: content that was pushed under the
 * name since then belongs to a new repository.
 */
export async function finishDeletion(ports: FinishDeletionPorts, deletion: Deletion): Promise<void> {
  const { id, name } = deletion
  const { blobs, repositories } = ports
  const work: DeletionWork = {
    ...deletion,
    entry: await ports.trashEntries.findFilling(id),
    renew: () => ports.deletions.renewDeletion(id),
  }
  do {
    if (work.entry !== undefined && !(await fillFromRepository(ports, work.entry, work.renew))) return
    for (const isImageIndexTurn of [true, false]) {
      const isDue = ({ mediaType }: IndexedManifest) => isImageIndex(mediaType) === isImageIndexTurn
      if (!(await deleteManifests(ports, work, isDue))) return
    }
    for (let page = await blobs.listBlobs(name, '', PAGE_SIZE); page.length > 0;) {
      if (!(await work.renew())) return
      await deleteUnreferenced(ports, name, page)
      page = await blobs.listBlobs(name, page.at(-1) ?? '', PAGE_SIZE)
    }
    if (!(await deleteUnindexed(ports, deletion))) return
    // False if a push was recorded in the meantime: the next turn deletes it, too.
  } while (!(await repositories.removeRepository(name)))
}

interface DeletionWork extends Deletion {
  readonly entry: TrashEntry | undefined
  /** Records that a process works on the deletion. Returns false if the deletion has ended. */
  readonly renew: () => Promise<boolean>
}

/** Deletes the manifests for which `isDue` returns true. Returns false if the deletion has ended. */
async function deleteManifests(
  ports: FinishDeletionPorts,
  work: DeletionWork,
  isDue: (manifest: IndexedManifest) => boolean,
): Promise<boolean> {
  const { removedContents } = ports
  const read = (after: string) => removedContents.listManifests(work.id, { after, limit: READ_MANIFESTS })
  for (let page = await read(''); page.length > 0; page = await read(page.at(-1)?.digest ?? '')) {
    const due = page.filter(isDue)
    for (let from = 0; from < due.length; from += REMOVED_MANIFESTS) {
      const manifests = due.slice(from, from + REMOVED_MANIFESTS)
      if (!(await deletePage(ports, work, manifests))) return false
    }
  }
  return true
}

/**
 * Deletes manifests and the blobs that only they reference from the registry, and then their rows. After a crash in
 * between, the rows are left, and the next call deletes the same page again. Returns false if the deletion has ended.
 */
async function deletePage(
  ports: FinishDeletionPorts,
  work: DeletionWork,
  manifests: readonly IndexedManifest[],
): Promise<boolean> {
  const { registry, removedContents } = ports
  const { id, name, entry, renew } = work
  const digests = manifests.map(({ digest }) => digest)
  // A push may have recorded a manifest or a tag after the trash was filled, and before this page was read.
  if (entry !== undefined && (await ports.trashContents.copyAgain(entry, digests)) > 0) {
    if (!(await fillFromRepository(ports, entry, renew))) return false
  }
  for (const digest of digests) {
    if (!(await renew())) return false
    await registry.deleteManifest(name, digest)
  }
  const read = (after: string) => removedContents.listOwnBlobs(id, digests, { after, limit: PAGE_SIZE })
  for (let page = await read(''); page.length > 0; page = await read(page.at(-1) ?? '')) {
    if (!(await deleteBlobPage(ports, work, page))) return false
  }
  await removedContents.removeManifests(work, manifests)
  return true
}

/** Returns false if the deletion has ended. */
async function deleteBlobPage(
  ports: FinishDeletionPorts,
  { name, renew }: DeletionWork,
  digests: readonly string[],
): Promise<boolean> {
  if (!(await renew())) return false
  await ports.blobs.markOrphans(name, digests)
  await deleteBlobs(ports, name, digests)
  return true
}
