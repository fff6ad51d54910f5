import { randomUUID } from 'node:crypto'
import type { IndexOfManifest } from './pending-removals.ts'
import type { RemovePorts } from './remove-ports.ts'
import { verifyManifest } from '../index/verify-manifest.ts'
import { dropTombstone, deleteUpstreamTag } from './delete-upstream-tag.ts'
import { isIndex } from '../index/manifest.ts'
import { UnrecordableError, ensureManifest } from '../index/ensure-manifest.ts'
import { syncTag } from '../index/sync-tag.ts'
import { deleteBlobs } from './delete-blobs.ts'
import { removeOrphans } from './delete-orphans.ts'
import { deleteUnindexed } from './delete-unindexed.ts'

export type ManifestRemoval =
  | { readonly outcome: 'deleted' }
  | { readonly outcome: 'unknown' }
  /** An index names it; nothing was deleted. */
  | { readonly outcome: 'in-use'; readonly by: IndexOfManifest }

/**
 * Deletes a manifest by digest, sha512 or sha256, with the tags that name it, and then the blobs that it named and
 * that no other manifest of the repository names. `unlessInUse`: not if an index of the repository names it, which
 * could be pulled no more. `undone`: for the push that put it there, because its repository was deleted.
 */
export async function deleteManifest(
  ports: RemovePorts,
  repository: string,
  asked: string,
  { unlessInUse = false, undone = false }: { readonly unlessInUse?: boolean; readonly undone?: boolean } = {},
): Promise<ManifestRemoval> {
  const { registry, removals, tags } = ports
  const known = await resolveManifest(ports, repository, asked)
  const digest = known?.digest ?? asked
  // The registry knows no manifest by its sha512.
  if (digest.startsWith('sha512:')) return { outcome: 'unknown' }
  const names = known === undefined ? [digest] : [digest, known.sha512]
  const references = await removals.listReferences(repository, digest)
  const removal = randomUUID()
  let was: boolean
  // First recorded, then looked for: the push of an index does the same the other way round.
  if (unlessInUse) await removals.beginRemoval(removal, repository, names)
  try {
    const by = unlessInUse ? await removals.findIndexOf(repository, names) : undefined
    if (by !== undefined) return { outcome: 'in-use', by }
    was = (await registry.deleteManifest(repository, digest)) || known?.indexOnly === true
    await verifyManifest(ports, repository, digest, undone ? 'undone' : 'deleted')
  } finally {
    if (unlessInUse) await removals.endRemoval(removal, repository)
  }
  // Pushed again in the meantime, and so still here: but the registry took away the tags that it had before.
  for (const tag of await tags.listTagsOf(repository, digest)) await syncTag(ports, repository, tag)
  await removeOrphans(ports, repository, references)
  return { outcome: was ? 'deleted' : 'unknown' }
}

/** A manifest of the index. One that it has not is recorded first, if the registry has it: for what it names. */
async function resolveManifest(ports: RemovePorts, repository: string, digest: string) {
  const known = await ports.manifests.resolveDigest(repository, digest)
  if (known !== undefined || digest.startsWith('sha512:')) return known
  try {
    if (!(await ensureManifest(ports, repository, digest))) return undefined
  } catch (error) {
    // It may be deleted all the same: distribution answers 500 to the GET of a manifest that it cannot parse.
    const isUnreadable = (error as { status?: unknown }).status === 500
    if (!isUnreadable && !(error instanceof UnrecordableError)) throw error
  }
  return ports.manifests.resolveDigest(repository, digest)
}

/** Deletes a tag and nothing else. Answers whether there was such a tag. */
export async function deleteTag(ports: RemovePorts, repository: string, tag: string): Promise<boolean> {
  const { registry, tags } = ports
  const { revision, indexOnly } = await tags.findTag(repository, tag)
  const dropped = indexOnly && (await tags.setTag(repository, tag, undefined, revision))
  const tombstone = await deleteUpstreamTag(registry, repository, tag)
  await syncTag(ports, repository, tag)
  if (tombstone !== undefined) await dropTombstone(ports, repository, tombstone)
  return dropped || tombstone !== undefined
}

/**
 * Deletes a repository: its manifests, indexes before what they name, then all blobs that were uploaded or mounted
 * there or that a manifest named (they could be pulled by digest otherwise, by the name's next owner too), then what
 * else the registry's tags reach, then the index. Resumes where an earlier call stopped; a push that comes in between
 * is deleted as well.
 */
export async function deleteRepository(ports: RemovePorts, name: string): Promise<void> {
  const id = await ports.deletions.beginDeletion(name)
  if (id !== undefined) await finishDeletion(ports, { id, name })
}

/** Goes on with a deletion that began, unless it is over: then what is pushed under that name is another's. */
export async function finishDeletion(
  ports: RemovePorts,
  { id, name }: { readonly id: string; readonly name: string },
): Promise<void> {
  const { registry, blobs, deletions, manifests, repositories } = ports
  const deleted = new Map<string, number>()
  do {
    const known = await manifests.listManifests(name)
    const ordered = known.toSorted((a, b) => Number(isIndex(b.mediaType)) - Number(isIndex(a.mediaType)))
    for (const { digest, revision } of ordered) {
      if (!(await deletions.goOnDeleting(id))) return
      await registry.deleteManifest(name, digest)
      deleted.set(digest, revision)
    }
    for (let page = await blobs.listBlobs(name, ''); page.length > 0;) {
      if (!(await deletions.goOnDeleting(id))) return
      await blobs.orphanBlobs(name, page)
      await deleteBlobs(ports, name, page)
      page = await blobs.listBlobs(name, page.at(-1) ?? '')
    }
    if (!(await deleteUnindexed(ports, { id, name }))) return
  } while (!(await repositories.removeRepository(name, deleted)))
}
