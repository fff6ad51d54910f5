import type { IndexChanges } from '../adapters/index-changes.ts'
import type { RegistryClient } from '../adapters/registry-client.ts'
import { confirmManifest } from './confirm-manifest.ts'
import { dropStandIn, freeTag } from './free-tag.ts'
import { isIndex } from './manifest.ts'
import type { RecordPorts } from './record.ts'
import { followTag } from './record.ts'
import { deleteBlobs } from './remove-blobs.ts'
import { deleteUnindexed } from './remove-unindexed.ts'

export interface RemovePorts extends RecordPorts {
  readonly registry: RegistryClient
  readonly index: IndexChanges
}

/**
 * Deletes a manifest by digest, sha512 or sha256, with the tags that name it. Answers whether there was one.
 */
export async function deleteManifest(
  ports: RemovePorts,
  repository: string,
  asked: string,
): Promise<boolean> {
  const { registry, index } = ports
  const known = await index.resolveDigest(repository, asked)
  const digest = known?.digest ?? asked
  // The registry knows no manifest by its sha512.
  if (digest.startsWith('sha512:')) return false
  const was = (await registry.deleteManifest(repository, digest)) || known?.kept === true
  await confirmManifest(ports, repository, digest)
  // Pushed again in the meantime, and so still here: but the registry took away the tags that it had before.
  for (const tag of await index.listTagsOf(repository, digest)) await followTag(ports, repository, tag)
  return was
}

/** Deletes a tag and nothing else. Answers whether there was such a tag. */
export async function deleteTag(ports: RemovePorts, repository: string, tag: string): Promise<boolean> {
  const { registry, index } = ports
  const { revision, kept } = await index.findTag(repository, tag)
  const dropped = kept && (await index.setTag(repository, tag, undefined, revision))
  const standIn = await freeTag(registry, repository, tag)
  await followTag(ports, repository, tag)
  if (standIn !== undefined) await dropStandIn(ports, repository, standIn)
  return dropped || standIn !== undefined
}

/**
 * Deletes a repository: its manifests, indexes before what they name, then the blobs that the index knows there
 * (they could be pulled by digest otherwise, by the name's next owner too), then what else the registry's tags reach,
 * then the index. Taken up again where
 * it was left, whenever it is called again; a push that comes between is deleted as well.
 */
export async function deleteRepository(ports: RemovePorts, name: string): Promise<void> {
  const id = await ports.index.beginDeletion(name)
  if (id !== undefined) await finishDeletion(ports, { id, name })
}

/** Goes on with a deletion that began, unless it is over: then what is pushed under that name is another's. */
export async function finishDeletion(
  ports: RemovePorts,
  { id, name }: { readonly id: string; readonly name: string },
): Promise<void> {
  const { registry, index } = ports
  const deleted = new Map<string, number>()
  do {
    const { manifests, blobs } = await index.listContents(name)
    const ordered = manifests.toSorted((a, b) => Number(isIndex(b.mediaType)) - Number(isIndex(a.mediaType)))
    for (const { digest, revision } of ordered) {
      if (!(await index.goOnDeleting(id))) return
      await registry.deleteManifest(name, digest)
      deleted.set(digest, revision)
    }
    if (!(await deleteBlobs(ports, { id, name }, blobs))) return
    if (!(await deleteUnindexed(ports, { id, name }))) return
  } while (!(await index.removeRepository(name, deleted)))
}
