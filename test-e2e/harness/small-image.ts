import { createHash, randomBytes } from 'node:crypto'
import type { Credentials, System } from './system.ts'
import { basic } from './system.ts'

export interface SmallImage {
  readonly repository: string
  /** The manifest as it was pushed. */
  readonly manifest: string
  readonly digest: string
  /** Digest of its one layer. */
  readonly layer: string
}

export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'

/** Pushes an image of a few bytes over plain HTTP requests, with Basic credentials. */
export async function pushSmallImage(
  system: System,
  who: Credentials,
  repository: string,
  tag: string,
): Promise<SmallImage> {
  const [config, layer] = [Buffer.from('{}'), randomBytes(64)]
  for (const blob of [config, layer]) await pushBlob(system, who, repository, blob)
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: describe('application/vnd.oci.image.config.v1+json', config),
    layers: [describe('application/vnd.oci.image.layer.v1.tar', layer)],
  })
  await send(system, who, 'PUT', `/v2/${repository}/manifests/${tag}`, 201, manifest, MANIFEST_TYPE)
  return { repository, manifest, digest: digestOf(manifest), layer: digestOf(layer) }
}

/** Pushes a blob in two requests: begin an upload, close it with all of the bytes. */
export async function pushBlob(
  system: System,
  who: Credentials,
  repository: string,
  blob: Buffer,
): Promise<string> {
  const begun = await send(system, who, 'POST', `/v2/${repository}/blobs/uploads/`, 202)
  const digest = digestOf(blob)
  await send(system, who, 'PUT', `${begun.headers.get('location')}&digest=${digest}`, 201, blob)
  return digest
}

export function digestOf(content: string | Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}

async function send(
  system: System,
  who: Credentials,
  method: string,
  path: string,
  expected: number,
  body?: string | Buffer,
  type = 'application/octet-stream',
): Promise<Response> {
  const headers = { authorization: basic(who), ...(body !== undefined && { 'content-type': type }) }
  const response = await fetch(new URL(path, system.url), { method, headers, body: body as never })
  if (response.status !== expected) {
    throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
  }
  return response
}

function describe(mediaType: string, content: Buffer) {
  return { mediaType, digest: digestOf(content), size: content.length }
}
