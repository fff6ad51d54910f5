import { randomBytes } from 'node:crypto'
import { MEDIA_TYPES, digestOf, makeImage } from './manifests.ts'
import { createRegistryClient } from './registry-client.ts'
import type { Credentials, Reachable } from './system.ts'
import { basic } from './system.ts'

export { digestOf }

export interface SmallImage {
  readonly repository: string
  /** The pushed manifest. */
  readonly manifest: string
  readonly digest: string
  /** Digest of the only layer. */
  readonly layer: string
}

export const MANIFEST_TYPE = MEDIA_TYPES.manifest

/** Pushes an image of a few bytes with Basic credentials. */
export async function pushSmallImage(
  system: Reachable,
  credentials: Credentials,
  repository: string,
  tag: string,
): Promise<SmallImage> {
  const layer = randomBytes(64)
  const image = makeImage({
    config: [MEDIA_TYPES.config, Buffer.from('{}')],
    layers: [['application/vnd.oci.image.layer.v1.tar', layer]],
  })
  await createRegistryClient(system.url, basic(credentials)).push(repository, image, tag)
  const { bytes, descriptor } = image
  return { repository, manifest: bytes.toString(), digest: descriptor.digest, layer: digestOf(layer) }
}

/** Returns another manifest with the same layers. */
export function annotated({ manifest }: SmallImage, note: string): string {
  return JSON.stringify({ ...JSON.parse(manifest), annotations: { note } })
}

/** Pushes a blob. Returns its digest. */
export async function pushBlob(
  system: Reachable,
  credentials: Credentials,
  repository: string,
  blob: Buffer,
) {
  return createRegistryClient(system.url, basic(credentials)).pushBlob(repository, blob)
}
