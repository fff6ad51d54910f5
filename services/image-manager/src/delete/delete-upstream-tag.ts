import { randomUUID } from 'node:crypto'
import type { RemovePorts } from './remove-ports.ts'
import type { RegistryClient } from '@registry-manager/registry-client'
import type { VerifyManifestPorts } from '../index/verify-manifest.ts'
import { verifyManifest } from '../index/verify-manifest.ts'
import { digestLike } from '../index/manifest.ts'

export type DeleteUpstreamTagPorts = {
  readonly registry: Pick<RegistryClient, 'headManifest' | 'putManifest' | 'deleteManifest'>
}

export type DropTombstonePorts = VerifyManifestPorts & { readonly manifests: RemovePorts['manifests'] }

/** The annotation of a manifest that stands in for a tag which is being deleted, and that nothing else names. */
export const DELETED_TAG = 'registry-manager.deleted-tag'

/**
 * Takes a tag away from the registry, where distribution 2.8 knows no such thing: it is given a manifest for the
 * tag that nothing else names, which is deleted by its digest. Answers that digest; undefined when there was no
 * such tag.
 */
export async function deleteUpstreamTag(
  registry: DeleteUpstreamTagPorts['registry'],
  repository: string,
  tag: string,
): Promise<string | undefined> {
  if ((await registry.headManifest(repository, tag)) === undefined) return undefined
  const mediaType = 'application/vnd.oci.image.index.v1+json'
  const annotations = { [DELETED_TAG]: randomUUID() }
  const raw = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [], annotations }))
  const digest = digestLike('sha256:', raw)
  await registry.putManifest(repository, tag, { mediaType, raw })
  await registry.deleteManifest(repository, digest)
  return digest
}

/** Takes a stand-in from the index, where somebody followed the tag to it. */
export async function dropTombstone(
  ports: DropTombstonePorts,
  repository: string,
  digest: string,
): Promise<void> {
  if (await ports.manifests.hasManifest(repository, digest)) await verifyManifest(ports, repository, digest)
}
