import type { DeleteOrphansPorts } from '../delete/delete-orphans.ts'
import { deleteOrphans } from '../delete/delete-orphans.ts'
import { readReferences } from '../index/manifest.ts'
import type { RestoreBlobsPorts } from './restore-blobs.ts'
import { restoreBlobs } from './restore-blobs.ts'
import type { RestoreStop } from './restore-pushes.ts'
import {
  RestoreStopped,
  announce,
  beingDeleted,
  hasEnded,
  put,
  renew,
  withManifest,
} from './restore-pushes.ts'
import type { RestoreTagsPorts, TakenTag } from './restore-tags.ts'
import { restoreTags } from './restore-tags.ts'
import type { TrashEnd, TrashEntry } from './trash-entry.ts'

export type RestoreEntryPorts = DeleteOrphansPorts &
  RestoreBlobsPorts &
  RestoreTagsPorts & {
    readonly manifests: { hasManifest(repository: string, digest: string): Promise<boolean> }
    readonly deletions: { isBeingDeleted(repository: string): Promise<boolean> }
    readonly blobs: { markOrphans(repository: string, digests: readonly string[]): Promise<void> }
    readonly trashContents: {
      listReady(entry: TrashEntry, state: 'trashed', after: string, limit: number): Promise<string[]>
      setState(entry: TrashEntry, digest: string, state: 'restored'): Promise<void>
    }
    readonly keptTrash: {
      stopRestore(entry: TrashEntry): Promise<void>
      endRestore(entry: TrashEntry, ended: TrashEnd, limit: number): Promise<string[] | undefined>
    }
  }

export type RestoreResult =
  | {
      readonly outcome: 'restored'
      /** Number of restored manifests. */
      readonly manifests: number
      /** Some of the tags that exist again. */
      readonly tags: readonly string[]
      /** Some of the tags that were not moved. */
      readonly taken: readonly TakenTag[]
      /**
       * Some of the manifests that the registry refuses, because it lacks content that they reference, or that were
       * deleted again during the restore. They stay in the trash.
       */
      readonly missing: readonly string[]
    }
  | RestoreStop

/** Number of digests that are read at once, and maximum number of them in a result. */
const PAGE_SIZE = 100

/**
 * Restores the content of an entry to its repository, by pushes of its manifests: so quotas and all other rules for
 * pushes apply. Sets a tag only if the repository does not have the tag. The entry ends when nothing is left in it. The
 * next call resumes an interrupted restore.
 */
export async function restoreEntry(ports: RestoreEntryPorts, entry: TrashEntry): Promise<RestoreResult> {
  try {
    const manifests = await restoreManifests(ports, entry)
    const { tags, taken, count } = await restoreTags(ports, entry)
    const ended = { action: 'trash.restore', detail: { manifests, tags: count } } as const
    const missing = await ports.keptTrash.endRestore(entry, ended, PAGE_SIZE)
    if (missing === undefined) throw hasEnded(entry)
    const { repository } = entry
    if (missing.length > 0 && (await ports.deletions.isBeingDeleted(repository)))
      throw beingDeleted(repository)
    return { outcome: 'restored', manifests, tags, taken, missing }
  } catch (error) {
    await ports.keptTrash.stopRestore(entry)
    if (error instanceof RestoreStopped) return error.stop
    throw error
  }
}

/**
 * Restores manifests. Those that an image index references come before the image index. Returns the number of those
 * that the repository did not have.
 */
async function restoreManifests(ports: RestoreEntryPorts, entry: TrashEntry): Promise<number> {
  const { trashContents } = ports
  const mounted = new Set<string>()
  let [handled, restored] = [0, 0]
  for (let before = -1; before < handled;) {
    before = handled
    const read = (after: string) => trashContents.listReady(entry, 'trashed', after, PAGE_SIZE)
    for (let page = await read(''); page.length > 0; page = await read(page.at(-1) ?? '')) {
      for (const digest of page) {
        await renew(ports, entry)
        const exists = await ports.manifests.hasManifest(entry.repository, digest)
        if (!exists && !(await restoreManifest(ports, entry, digest, mounted))) continue
        await trashContents.setState(entry, digest, 'restored')
        handled += 1
        if (!exists) restored += 1
      }
    }
  }
  return restored
}

/** Returns false if the registry lacks something that the manifest references. */
async function restoreManifest(
  ports: RestoreEntryPorts,
  entry: TrashEntry,
  digest: string,
  mounted: Set<string>,
): Promise<boolean> {
  const { repository } = entry
  return withManifest(ports, entry, digest, async (manifest) => {
    const announced = await announce(ports, entry, manifest, { digest })
    if (announced.outcome !== 'announced') return announced.outcome === 'index-only'
    // Announced first: the blobs come back only if the rules for pushes permit it, and no deletion removes them.
    const blobs = readReferences(manifest.raw).filter(({ kind }) => kind !== 'manifest')
    const isComplete = await restoreBlobs(ports, entry, blobs, mounted).catch(async (error: unknown) => {
      // The registry did not get the manifest, so the push has no outcome that another process must find out.
      await ports.push.discard(announced.id)
      throw error
    })
    if (isComplete && (await put(ports, repository, digest, manifest))) {
      const recorded = await ports.push.record(announced.id)
      return recorded?.digest === digest
    }
    await ports.push.discard(announced.id)
    const digests = blobs.map((one) => one.digest)
    for (const one of digests) mounted.delete(one)
    await ports.blobs.markOrphans(repository, digests)
    await deleteOrphans(ports, repository, digests)
    if (await ports.deletions.isBeingDeleted(repository)) throw beingDeleted(repository)
    return false
  })
}
