import type { RegistryClient } from '@registry-manager/registry-client'
import { inParallel } from './in-parallel.ts'
import type { TrashEntry } from './trash-entry.ts'
import { trashRepository } from './trash-entry.ts'

export interface EmptyEntryPorts {
  readonly registry: Pick<RegistryClient, 'deleteManifest' | 'deleteBlob'>
  readonly trashEntries: { renew(entry: TrashEntry): Promise<boolean> }
  readonly trashContents: {
    listContents(
      entry: TrashEntry,
      limit: number,
    ): Promise<readonly { readonly digest: string; readonly blobs: readonly string[] }[]>
    removeManifests(entry: TrashEntry, digests: readonly string[]): Promise<void>
  }
  readonly keptTrash: { remove(entry: TrashEntry): Promise<void> }
}

const PAGE_SIZE = 100
/** Number of blobs that are deleted from the registry at the same time. */
const CONCURRENCY = 8

/**
 * Deletes the content of an ended entry from the registry, and then the entry itself. Resumes where an earlier call was
 * interrupted. The data of the blobs stays in the storage until the garbage collection removes it.
 */
export async function emptyEntry(
  { registry, trashEntries, trashContents, keptTrash }: EmptyEntryPorts,
  entry: TrashEntry,
  signal?: AbortSignal,
): Promise<void> {
  const repository = trashRepository(entry)
  const read = () => trashContents.listContents(entry, PAGE_SIZE)
  for (let page = await read(); page.length > 0; page = await read()) {
    signal?.throwIfAborted()
    if (!(await trashEntries.renew(entry))) return
    for (const { digest } of page) await registry.deleteManifest(repository, digest)
    const blobs = new Set(page.flatMap((one) => one.blobs))
    await inParallel([...blobs], CONCURRENCY, (blob) => registry.deleteBlob(repository, blob))
    await trashContents.removeManifests(
      entry,
      page.map(({ digest }) => digest),
    )
  }
  await keptTrash.remove(entry)
}
