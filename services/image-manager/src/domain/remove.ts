import { randomUUID } from 'node:crypto'
import type { IndexChanges } from '../adapters/index-changes.ts'
import type { IndexQueries } from '../adapters/index-queries.ts'
import type { RegistryClient } from '../adapters/registry-client.ts'
import { isIndex, parseManifest } from './manifest.ts'
import type { RecordPorts } from './record.ts'
import { followTag } from './record.ts'

export interface RemovePorts extends RecordPorts {
  readonly registry: RegistryClient
  readonly index: IndexChanges
  readonly queries: Pick<IndexQueries, 'findManifest'>
}

/**
 * Deletes a manifest by digest, sha512 or sha256, with the tags that name it. Answers whether there was one.
 */
export async function deleteManifest(
  { registry, index, queries }: RemovePorts,
  repository: string,
  asked: string,
): Promise<boolean> {
  const known = await queries.findManifest(repository, { digest: asked })
  const digest = known?.digest ?? asked
  // The registry knows no manifest by its sha512.
  if (digest.startsWith('sha512:')) return false
  const was = (await registry.deleteManifest(repository, digest)) || known?.kept === true
  // Pushed again in the meantime: then it stays.
  if ((await registry.headManifest(repository, digest)) === undefined)
    await index.removeManifest(repository, digest)
  return was
}

/** Deletes a tag and nothing else. Answers whether there was such a tag. */
export async function deleteTag(ports: RemovePorts, repository: string, tag: string): Promise<boolean> {
  const { revision, kept } = await ports.index.findTag(repository, tag)
  const dropped = kept && (await ports.index.setTag(repository, tag, undefined, revision))
  const freed = await freeTag(ports.registry, repository, tag)
  await followTag(ports, repository, tag)
  return dropped || freed
}

/**
 * Takes a tag away from the registry, where distribution 2.8 knows no such thing: it is given a manifest for the
 * tag that nothing else names, which is deleted by its digest. Answers whether there was such a tag.
 */
export async function freeTag(registry: RegistryClient, repository: string, tag: string): Promise<boolean> {
  if ((await registry.headManifest(repository, tag)) === undefined) return false
  const mediaType = 'application/vnd.oci.image.index.v1+json'
  const annotations = { 'registry-manager.deleted-tag': randomUUID() }
  const raw = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [], annotations }))
  const parsed = parseManifest(raw, mediaType)
  if ('malformed' in parsed) throw new Error(parsed.malformed)
  await registry.putManifest(repository, tag, { mediaType, raw })
  await registry.deleteManifest(repository, parsed.manifest.digest)
  return true
}

/**
 * Deletes a blob under all of its names: the registry stores one that was pushed by a sha512 digest under that and
 * under its sha256, and forgets each by itself. Answers whether there was one.
 */
export async function deleteBlob(
  { registry, index }: Pick<RemovePorts, 'registry' | 'index'>,
  repository: string,
  digest: string,
): Promise<boolean> {
  const aliases = await index.blobAliases(repository, digest)
  // Never written down, for the database was away: the registry knows it still.
  const canonical = aliases.length > 0 ? undefined : await canonicalName(registry, repository, digest)
  const names = new Set([digest, ...aliases, ...(canonical === undefined ? [] : [canonical])])
  let was = false
  // The sha256 last: the registry finds the blob of a sha512 by it, and answers 500 where it is not there.
  for (const name of [...names].toSorted().toReversed()) {
    was = (await registry.deleteBlob(repository, name)) || was
  }
  await index.forgetBlob(repository, digest)
  return was
}

async function canonicalName(registry: RegistryClient, repository: string, digest: string) {
  return digest.startsWith('sha512:') ? registry.headBlob(repository, digest) : undefined
}

/**
 * Deletes a repository: its manifests, indexes before what they name, then the blobs that the index knows there
 * (they could be pulled by digest otherwise, by the name's next owner too), then the index. Taken up again where
 * it was left, whenever it is called again; a push that comes between is deleted as well.
 */
export async function deleteRepository(ports: RemovePorts, name: string): Promise<void> {
  const { registry, index } = ports
  await index.beginDeletion(name)
  const deleted = new Set<string>()
  do {
    const { manifests, blobs } = await index.listContents(name)
    const ordered = manifests.toSorted((a, b) => Number(isIndex(b.mediaType)) - Number(isIndex(a.mediaType)))
    for (const { digest } of ordered) {
      await registry.deleteManifest(name, digest)
      deleted.add(digest)
    }
    for (const digest of blobs) await deleteBlob(ports, name, digest)
  } while (!(await index.removeRepository(name, deleted)))
}
