import { digestOf } from './manifests.ts'
import type { RegistryResponse, RegistryClient } from './registry-client.ts'
import { locationOf } from './registry-client.ts'

/** Pushes a blob of at least 1 byte with a digest. Returns the last response. */
export type BlobPush = (
  client: RegistryClient,
  repository: string,
  blob: Buffer,
  digest: string,
) => Promise<RegistryResponse>

/** Every way to push a blob. Source: OCI distribution-spec 1.1, "Pushing blobs" and below. */
export const BLOB_PUSHES: Readonly<Record<string, BlobPush>> = {
  'POST then PUT': async (client, repository, blob, digest) =>
    client.closeUpload(await client.beginUpload(repository), digest, blob),

  'Single POST': async (client, repository, blob, digest) => {
    const path = `/v2/${repository}/blobs/uploads/?digest=${digest}`
    const headers = { 'content-type': 'application/octet-stream' }
    const response = await client.send('POST', path, { headers, body: blob })
    // A registry without support for a single POST begins an upload.
    return response.status === 202 ? client.closeUpload(locationOf(response), digest, blob) : response
  },

  'a streamed PATCH': async (client, repository, blob, digest) => {
    const sent = await client.sendChunk(await client.beginUpload(repository), blob)
    return sent.status === 202 ? client.closeUpload(locationOf(sent), digest) : sent
  },

  'one chunk': async (client, repository, blob, digest) =>
    inChunks(client, repository, blob, digest, 1, false),

  'three chunks': async (client, repository, blob, digest) =>
    inChunks(client, repository, blob, digest, 3, false),

  'three chunks, the last with the closing PUT': async (client, repository, blob, digest) =>
    inChunks(client, repository, blob, digest, 3, true),

  'a mount of a missing blob': async (client, repository, blob, digest) => {
    const from = repository.replace(/[^/]+$/, 'has-nothing')
    const path = `/v2/${repository}/blobs/uploads/?mount=${digest}&from=${from}`
    const response = await client.send('POST', path)
    return response.status === 202 ? client.closeUpload(locationOf(response), digest, blob) : response
  },
}

/** Ways to take a blob over from another repository that has it. The digest must be correct. */
export const BLOB_MOUNTS: Readonly<Record<string, BlobPush>> = {
  'a mount': async (client, repository, blob, digest) => mount(client, repository, blob, digest, true),

  'a mount without a source': async (client, repository, blob, digest) =>
    mount(client, repository, blob, digest, false),
}

async function mount(
  client: RegistryClient,
  repository: string,
  blob: Buffer,
  digest: string,
  saysFrom: boolean,
): Promise<RegistryResponse> {
  const from = `${repository}-source`
  await client.pushBlob(from, blob, digest.startsWith('sha512') ? 'sha512' : 'sha256')
  const query = new URLSearchParams({ mount: digest, ...(saysFrom && { from }) })
  const response = await client.send('POST', `/v2/${repository}/blobs/uploads/?${query}`)
  return response.status === 202 ? client.closeUpload(locationOf(response), digest, blob) : response
}

async function inChunks(
  client: RegistryClient,
  repository: string,
  blob: Buffer,
  digest: string,
  count: number,
  lastCloses: boolean,
): Promise<RegistryResponse> {
  let location = await client.beginUpload(repository)
  const size = Math.ceil(blob.length / count)
  for (let start = 0; start < blob.length; start += size) {
    const chunk = blob.subarray(start, start + size)
    const end = start + chunk.length - 1
    if (lastCloses && end === blob.length - 1) {
      return client.closeUpload(location, digest, chunk, `${start}-${end}`)
    }
    const sent = await client.sendChunk(location, chunk, `${start}-${end}`)
    if (sent.status !== 202 || sent.headers['range'] !== `0-${end}`) {
      throw new Error(`a chunk up to ${end}: ${sent.status}, ${sent.headers['range']} ${sent.body}`)
    }
    location = locationOf(sent)
  }
  return client.closeUpload(location, digest)
}

/** Returns a digest that does not match the content. */
export function wrongDigestOf(content: Buffer, algorithm: 'sha256' | 'sha512' = 'sha256'): string {
  return digestOf(Buffer.concat([content, Buffer.from('oh no')]), algorithm)
}
