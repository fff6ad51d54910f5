import type { ByteBudget } from '@registry-manager/http'
import type { RegistryClient } from '@registry-manager/registry-client'
import { isRegistryRefusal } from '@registry-manager/registry-client'
import type { AnnounceOutcome } from '../push/announce-manifest.ts'
import type { Push } from '../push/push.ts'
import type { TrashEntry } from './trash-entry.ts'

export interface RestorePushesPorts {
  readonly registry: Pick<RegistryClient, 'putManifest'>
  readonly push: Pick<Push, 'announce' | 'record' | 'discard'>
  readonly manifestBudget: ByteBudget
  readonly keptTrash: {
    /** Renews the claim of the restore. Returns false if the entry has ended. */
    renewRestore(entry: TrashEntry): Promise<boolean>
  }
  readonly trashContents: {
    measureManifest(entry: TrashEntry, digest: string): Promise<number>
    readManifest(entry: TrashEntry, digest: string): Promise<ReadManifest | undefined>
  }
}

export interface ReadManifest {
  readonly mediaType: string
  readonly raw: Buffer
}

/** The reason why a restore ends early. */
export type RestoreStop =
  /** The rules for pushes do not permit it: a quota, for example. */
  | { readonly outcome: 'denied'; readonly reason: string }
  | { readonly outcome: 'being-deleted'; readonly reason: string }
  /**
   * Too many manifests are in memory, a deletion removes content that a manifest references, or the entry was purged
   * during the restore.
   */
  | { readonly outcome: 'busy'; readonly reason: string }

/** Ends a restore early. */
export class RestoreStopped extends Error {
  readonly stop: RestoreStop

  constructor(stop: RestoreStop) {
    super(stop.reason)
    this.stop = stop
  }
}

/** Reads a manifest within the memory budget for manifests. Throws if the budget is exhausted. */
export async function withManifest<Result>(
  { trashContents, manifestBudget }: RestorePushesPorts,
  entry: TrashEntry,
  digest: string,
  work: (manifest: ReadManifest) => Promise<Result>,
): Promise<Result> {
  const release = await manifestBudget.take('', await trashContents.measureManifest(entry, digest))
  const reason = 'too many manifests are being read at once'
  if (release === undefined) throw new RestoreStopped({ outcome: 'busy', reason })
  try {
    const manifest = await trashContents.readManifest(entry, digest)
    if (manifest === undefined) throw hasEnded(entry)
    return await work(manifest)
  } finally {
    release()
  }
}

/** Announces a push. Throws if the rules for pushes do not permit it. Returns the refusal if the tag exists already. */
export async function announce(
  { push }: RestorePushesPorts,
  { repository }: TrashEntry,
  { mediaType, raw }: ReadManifest,
  reference: { readonly tag: string } | { readonly digest: string },
): Promise<Exclude<AnnounceOutcome, { outcome: 'being-deleted' }>> {
  const announced = await push.announce({ repository, reference, type: mediaType, raw, unlessTaken: true })
  if (announced.outcome === 'being-deleted') throw beingDeleted(repository)
  if (announced.outcome !== 'refused') return announced
  const { code, status, detail, message } = announced
  if (code === 'DENIED' && detail?.['digest'] === undefined)
    throw new RestoreStopped({ outcome: 'denied', reason: message })
  // A deletion removes something that the manifest references at this moment. Other refusals have no status.
  if (status !== undefined) throw new RestoreStopped({ outcome: 'busy', reason: message })
  return announced
}

/** Renews the claim of a restore. Throws if the entry has ended. */
export async function renew({ keptTrash }: RestorePushesPorts, entry: TrashEntry): Promise<void> {
  if (!(await keptTrash.renewRestore(entry))) throw hasEnded(entry)
}

export function hasEnded({ id }: TrashEntry): RestoreStopped {
  const reason = `the entry ${id} of the trash was purged or restored by another request during the restore`
  return new RestoreStopped({ outcome: 'busy', reason })
}

export function beingDeleted(repository: string): RestoreStopped {
  return new RestoreStopped({
    outcome: 'being-deleted',
    reason: `the repository ${repository} is being deleted`,
  })
}

/** Returns false if the registry refuses the manifest, because it lacks something that the manifest references. */
export async function put(
  { registry }: RestorePushesPorts,
  repository: string,
  reference: string,
  manifest: ReadManifest,
): Promise<boolean> {
  try {
    await registry.putManifest(repository, reference, manifest)
    return true
  } catch (error) {
    // Any other error does not say whether the registry has the manifest: the push stays pending until that is known.
    if (!isRegistryRefusal(error)) throw error
    return false
  }
}
