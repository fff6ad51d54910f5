import { isImageIndex } from '../index/manifest.ts'
import { deleteBlobs } from './delete-blobs.ts'
import type { DeleteUnindexedPorts } from './delete-unindexed.ts'
import { deleteUnindexed } from './delete-unindexed.ts'

interface IndexedManifest {
  readonly digest: string
  readonly mediaType: string
  readonly revision: string
}

export interface FinishDeletionPorts extends DeleteUnindexedPorts {
  readonly manifests: {
    listManifests(repository: string): Promise<IndexedManifest[]>
  }
  readonly blobs: DeleteUnindexedPorts['blobs'] & {
    listBlobs(repository: string, after: string, limit: number): Promise<string[]>
    markOrphans(repository: string, digests: readonly string[]): Promise<void>
  }
  readonly repositories: {
    /** Deletes the repository if all its manifests are at the given revisions. False if there is more to delete. */
    removeRepository(repository: string, deleted: ReadonlyMap<string, string>): Promise<boolean>
  }
}

export interface DeleteRepositoryPorts extends FinishDeletionPorts {
  readonly deletions: FinishDeletionPorts['deletions'] & {
    /** The id of the repository; undefined if the index knows nothing of it. */
    beginDeletion(repository: string): Promise<string | undefined>
  }
}

export interface Deletion {
  readonly id: string
  /** Name of the repository. */
  readonly name: string
}

/** How many blobs are read from the index and deleted at once. */
const PAGE_SIZE = 500

/**
 * Deletes a repository, in this order: its manifests, image indexes before what they reference; all blobs that were
 * uploaded, mounted or referenced there, because the name's next owner could pull them by digest; what the registry's
 * tags still reach; and its row in the index. Resumes an interrupted deletion. Deletes concurrent pushes as well.
 */
export async function deleteRepository(ports: DeleteRepositoryPorts, name: string): Promise<void> {
  const id = await ports.deletions.beginDeletion(name)
  if (id !== undefined) await finishDeletion(ports, { id, name })
}

/**
 * Resumes a deletion that has begun. Stops if another process finished the deletion: content that was pushed under the
 * name since then belongs to a new repository.
 */
export async function finishDeletion(ports: FinishDeletionPorts, { id, name }: Deletion): Promise<void> {
  const { registry, manifests, blobs, deletions, repositories } = ports
  const deleted = new Map<string, string>()
  do {
    const indexed = await manifests.listManifests(name)
    const ordered = indexed.toSorted(
      (a, b) => Number(isImageIndex(b.mediaType)) - Number(isImageIndex(a.mediaType)),
    )
    for (const { digest, revision } of ordered) {
      if (!(await deletions.renewDeletion(id))) return
      await registry.deleteManifest(name, digest)
      deleted.set(digest, revision)
    }
    for (let page = await blobs.listBlobs(name, '', PAGE_SIZE); page.length > 0;) {
      if (!(await deletions.renewDeletion(id))) return
      await blobs.markOrphans(name, page)
      await deleteBlobs(ports, name, page)
      page = await blobs.listBlobs(name, page.at(-1) ?? '', PAGE_SIZE)
    }
    if (!(await deleteUnindexed(ports, { id, name }))) return
  } while (!(await repositories.removeRepository(name, deleted)))
}
