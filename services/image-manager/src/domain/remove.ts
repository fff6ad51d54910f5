import { randomUUID } from 'node:crypto'
import type { IndexChanges } from '../adapters/index-changes.ts'
import type { RegistryClient } from '../adapters/registry-client.ts'
import { confirmManifest } from './confirm-manifest.ts'
import { isIndex, parseManifest } from './manifest.ts'
import type { RecordPorts } from './record.ts'
import { followTag } from './record.ts'

export interface RemovePorts extends RecordPorts {
  readonly registry: RegistryClient
  readonly index: IndexChanges
}

/** The annotation of a manifest that stands in for a tag which is being deleted, and that nothing else names. */
export const DELETED_TAG = 'registry-manager.deleted-tag'

/** Deletes a manifest by digest, with the tags that name it. Answers whether there was one. */
export async function deleteManifest(ports: RemovePorts, repository: string, digest: string) {
  const { registry, index } = ports
  const was = await registry.deleteManifest(repository, digest)
  await confirmManifest(ports, repository, digest)
  // Pushed again in the meantime, and so still here: but the registry took away the tags that it had before.
  for (const tag of await index.listTagsOf(repository, digest)) await followTag(ports, repository, tag)
  return was
}

/**
 * Deletes a tag and nothing else. A registry that knows no such thing is given a manifest for the tag that
 * nothing else names, which is deleted by its digest. Answers whether there was such a tag.
 */
export async function deleteTag(ports: RemovePorts, repository: string, tag: string): Promise<boolean> {
  const { registry, index } = ports
  if ((await registry.headManifest(repository, tag)) === undefined) {
    await followTag(ports, repository, tag)
    return false
  }
  const mediaType = 'application/vnd.oci.image.index.v1+json'
  const annotations = { [DELETED_TAG]: randomUUID() }
  const raw = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [], annotations }))
  const parsed = parseManifest(raw, mediaType)
  if ('malformed' in parsed) throw new Error(parsed.malformed)
  await registry.putManifest(repository, tag, { mediaType, raw })
  await registry.deleteManifest(repository, parsed.manifest.digest)
  await followTag(ports, repository, tag)
  // Somebody may have followed the tag to it.
  if (await index.hasManifest(repository, parsed.manifest.digest))
    await confirmManifest(ports, repository, parsed.manifest.digest)
  return true
}

/**
 * Deletes a repository: its manifests, indexes before what they name, then the blobs that the index knows there
 * (they could be pulled by digest otherwise, by the name's next owner too), then the index. Taken up again where
 * it was left, whenever it is called again; a push that comes between is deleted as well.
 */
export async function deleteRepository(ports: RemovePorts, name: string): Promise<void> {
  const id = await ports.index.beginDeletion(name)
  if (id !== undefined) await finishDeletion(ports, { id, name })
}

/** Goes on with a deletion that began, unless it is over: then what is pushed under that name is another's. */
export async function finishDeletion(
  { registry, index }: RemovePorts,
  { id, name }: { readonly id: string; readonly name: string },
): Promise<void> {
  const deleted = new Map<string, number>()
  do {
    const { manifests, blobs } = await index.listContents(name)
    const ordered = manifests.toSorted((a, b) => Number(isIndex(b.mediaType)) - Number(isIndex(a.mediaType)))
    for (const { digest, revision } of ordered) {
      if (!(await index.goOnDeleting(id))) return
      await registry.deleteManifest(name, digest)
      deleted.set(digest, revision)
    }
    for (const digest of blobs) {
      if (!(await index.goOnDeleting(id))) return
      await registry.deleteBlob(name, digest)
    }
  } while (!(await index.removeRepository(name, deleted)))
}
