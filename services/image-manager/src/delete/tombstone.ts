import { randomUUID } from 'node:crypto'
import { MEDIA_TYPES } from '@registry-manager/oci'
import type { RegistryClient } from '@registry-manager/registry-client'
import type { VerifyManifestPorts } from '../index/verify-manifest.ts'
import { verifyManifest } from '../index/verify-manifest.ts'
import { digestLike } from '../index/manifest.ts'

export interface DeleteUpstreamTagPorts {
  readonly registry: Pick<RegistryClient, 'headManifest' | 'putManifest' | 'deleteManifest'>
}

export interface DropTombstonePorts extends VerifyManifestPorts {
  readonly removals: { releaseDigest(digest: string): Promise<void> }
  readonly manifests: VerifyManifestPorts['manifests'] & {
    hasManifest(repository: string, digest: string): Promise<boolean>
  }
}

/** The annotation that marks a manifest as a tombstone. Its random value makes the manifest's digest unique. */
export const TOMBSTONE_ANNOTATION = 'registry-manager.deleted-tag'

/**
 * Deletes a tag, and nothing else, from the registry. distribution 2.8 cannot delete a single tag. The tag is pointed
 * at a tombstone, and the tombstone is deleted by its digest, together with the tag. Returns the tombstone's digest;
 * undefined if the registry has no such tag.
 */
export async function deleteUpstreamTag(
  { registry }: DeleteUpstreamTagPorts,
  repository: string,
  tag: string,
): Promise<string | undefined> {
  if ((await registry.headManifest(repository, tag)) === undefined) return undefined
  const annotations = { [TOMBSTONE_ANNOTATION]: randomUUID() }
  const mediaType = MEDIA_TYPES.ociIndex
  const raw = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [], annotations }))
  const digest = digestLike('sha256:', raw)
  await registry.putManifest(repository, tag, { mediaType, raw })
  await registry.deleteManifest(repository, digest)
  return digest
}

/**
 * Removes a deleted tombstone from the index, in case a concurrent sync of the tag recorded it, and has the collection
 * remove its data.
 */
export async function dropTombstone(
  ports: DropTombstonePorts,
  repository: string,
  digest: string,
): Promise<void> {
  if (await ports.manifests.hasManifest(repository, digest)) await verifyManifest(ports, repository, digest)
  await ports.removals.releaseDigest(digest)
}
