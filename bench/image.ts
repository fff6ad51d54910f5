import type { LoadRequest } from './client/load.ts'
import { upload } from './clients.ts'
import type { Stack } from './stack.ts'

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json'
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar'

/**
 * Pushes an image of random blobs. The blobs go to the bare registry, the manifest through the proxy, which adds it to
 * the index. Returns the requests of a pull.
 */
export async function pushImage(
  { bareUrl, proxyUrl, bearer }: Stack,
  repository: string,
  sizes: readonly number[],
): Promise<LoadRequest[]> {
  const blobs: { digest: string; size: number }[] = []
  for (const size of sizes) {
    const { digest } = await upload({ origin: bareUrl, repository, bytes: size })
    blobs.push({ digest, size })
  }
  const [layer, config] = blobs
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: { mediaType: CONFIG_TYPE, ...config },
    layers: [{ mediaType: LAYER_TYPE, ...layer }],
  }
  const path = `/v2/${repository}/manifests/latest`
  const response = await fetch(new URL(path, proxyUrl), {
    method: 'PUT',
    headers: { 'content-type': MANIFEST_TYPE, authorization: await bearer(repository, 'pull,push') },
    body: JSON.stringify(manifest),
  })
  if (response.status !== 201) throw new Error(`PUT ${path}: ${response.status} ${await response.text()}`)
  return [
    { path, headers: { accept: MANIFEST_TYPE } },
    ...blobs.map(({ digest }) => ({ path: `/v2/${repository}/blobs/${digest}`, headers: {} })),
  ]
}
