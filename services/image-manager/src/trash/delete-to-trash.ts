import { unavailable } from '@registry-manager/http'
import type {
  DeleteManifestOptions,
  DeleteManifestPorts,
  DeleteManifestResult,
} from '../delete/delete-manifest.ts'
import { REFERRERS_TAG, deleteManifest } from '../delete/delete-manifest.ts'
import type { VerifyManifestPorts } from '../index/verify-manifest.ts'
import { verifyManifest } from '../index/verify-manifest.ts'
import type { FillEntryPorts } from './fill-entry.ts'
import { fillEntry } from './fill-entry.ts'
import type { TrashEntry } from './trash-entry.ts'

export type DeleteToTrashPorts = DeleteManifestPorts &
  FillEntryPorts & {
    readonly trashEntries: {
      beginManifest(
        target: { readonly repository: string; readonly digest: string },
        options: { readonly days: number; readonly referrersTag: string },
      ): Promise<TrashEntry | undefined>
      renew(entry: TrashEntry): Promise<boolean>
      setFilled(entry: TrashEntry): Promise<boolean>
      /** Copies the tags that the manifest of the entry has now. */
      copyTags(entry: TrashEntry): Promise<void>
      keep(entry: TrashEntry): Promise<void>
      discard(entry: TrashEntry): Promise<void>
    }
  }

export type RecoverInterruptedPorts = VerifyManifestPorts & {
  readonly manifests: {
    resolveDigest(repository: string, digest: string): Promise<{ readonly indexOnly: boolean } | undefined>
  }
  readonly trashEntries: {
    takeInterrupted(): Promise<{ readonly entry: TrashEntry; readonly isFilled: boolean } | undefined>
    keep(entry: TrashEntry): Promise<void>
    discard(entry: TrashEntry): Promise<void>
  }
}

/**
 * Copies a manifest to the trash, with the manifests and blobs that it references and the manifests that refer to it,
 * and then deletes it by `deleteManifest`. With 0 days, and for a manifest that the index does not have, nothing is
 * copied.
 *
 * Lists of the trash show the entry when the deletion has ended. After a crash before that, `recoverInterrupted` keeps
 * or discards the entry.
 */
export async function deleteToTrash(
  ports: DeleteToTrashPorts,
  repository: string,
  requested: string,
  { days, ...options }: DeleteManifestOptions & { readonly days: number },
): Promise<DeleteManifestResult> {
  if (days === 0) return deleteManifest(ports, repository, requested, options)
  const { trashEntries } = ports
  const entries: TrashEntry[] = []
  const beforeDeletion = async (digest: string) => {
    const entry = await trashEntries.beginManifest(
      { repository, digest },
      { days, referrersTag: REFERRERS_TAG },
    )
    if (entry === undefined) return
    entries.push(entry)
    const isFilled = await fillEntry(ports, entry, () => trashEntries.renew(entry))
    if (!isFilled || !(await trashEntries.setFilled(entry)))
      throw unavailable(`moving ${digest} of ${repository} to the trash took too long; retry shortly`, 2)
  }
  // Pushes may have set tags since the entry was created. After the deletion in the registry no push sets another one
  // without the manifest.
  const beforeRemoval = async () => {
    for (const entry of entries) await trashEntries.copyTags(entry)
  }
  const hooks = { beforeDeletion, beforeRemoval }
  const result = await deleteManifest(ports, repository, requested, { ...options, ...hooks })
  for (const entry of entries)
    await (result.outcome === 'deleted' ? trashEntries.keep(entry) : trashEntries.discard(entry))
  return result
}

/**
 * Recovers the entries of deletions of manifests whose process was killed. Keeps an entry if all content is in the
 * trash and the repository does not have the manifest any more. Otherwise discards it: the manifest was not deleted, or
 * another deletion has copied it.
 */
export async function recoverInterrupted(ports: RecoverInterruptedPorts, signal: AbortSignal): Promise<void> {
  const { trashEntries } = ports
  while (!signal.aborted) {
    const taken = await trashEntries.takeInterrupted()
    if (taken === undefined) return
    const { entry, isFilled } = taken
    await (isFilled && (await isGone(ports, entry)) ? trashEntries.keep(entry) : trashEntries.discard(entry))
  }
}

async function isGone(ports: RecoverInterruptedPorts, { repository, digest }: TrashEntry): Promise<boolean> {
  if (digest === null) return false
  if ((await ports.manifests.resolveDigest(repository, digest))?.indexOnly === true) return false
  return !(await verifyManifest(ports, repository, digest, 'deleted'))
}
