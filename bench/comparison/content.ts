import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { runCommand } from '../../test-e2e/harness/run-command.ts'
import { upload } from '../clients.ts'
import type { Side } from './side.ts'
import { REPOSITORY, filePath } from './side.ts'

export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json'
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar'

export const TAG = 'latest'
export const [LARGE_BYTES, MEDIUM_BYTES, MEDIUM_BLOBS] = [1024 ** 3, 50 * 1024 ** 2, 8]

export interface Blob {
  readonly digest: string
  readonly size: number
}

/** One image, which every side has. */
export interface Content {
  readonly config: Blob
  readonly manifest: Blob
  readonly large: Blob
  readonly medium: readonly Blob[]
}

/** Pushes the image to every storage, and its manifest through every stack, which adds it to its index. */
export async function pushContent(sides: readonly Side[]): Promise<Content> {
  const config = await pushBlob(sides, 845)
  const large = await pushBlob(sides, LARGE_BYTES)
  const medium = await pushBlobs(sides, MEDIUM_BLOBS, MEDIUM_BYTES)
  const body = JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: { mediaType: CONFIG_TYPE, ...config },
    layers: [large, ...medium].map((blob) => ({ mediaType: LAYER_TYPE, ...blob })),
  })
  const headers = { 'content-type': MANIFEST_TYPE }
  let digest = ''
  for (const side of sides.filter(({ isRegistry }) => isRegistry)) {
    const [authorization = ''] = await side.authorizations(`repository:${REPOSITORY}:pull,push`, 1)
    const url = side.origin + side.pathOf('manifests', TAG)
    const response = await fetch(url, { method: 'PUT', headers: { ...headers, authorization }, body })
    if (response.status !== 201) throw new Error(`PUT ${url}: ${response.status} ${await response.text()}`)
    digest = response.headers.get('docker-content-digest') ?? ''
  }
  return { config, large, medium, manifest: { digest, size: body.length } }
}

export async function pushBlobs(sides: readonly Side[], count: number, size: number): Promise<Blob[]> {
  const blobs: Blob[] = []
  for (let blob = 0; blob < count; blob += 1) blobs.push(await pushBlob(sides, size))
  return blobs
}

/** Pushes the same random blob to every storage, without a stack. */
export async function pushBlob(sides: readonly Side[], size: number): Promise<Blob> {
  const key = randomBytes(16).toString('hex')
  let digest = ''
  for (const { origin } of sides.filter((side) => side.isRegistry && side.stack === undefined))
    ({ digest } = await upload({ origin, repository: REPOSITORY, bytes: size, key }))
  return { digest, size }
}

/** Removes the bytes of blobs that no case needs any more, so that a run needs little space on the disk. */
export async function removeBytes(sides: readonly Side[], digests: readonly string[]): Promise<void> {
  for (const images of new Set(sides.flatMap(({ images }) => images ?? []))) {
    for (const digest of digests)
      await rm(dirname(join(images, filePath(digest))), { recursive: true, force: true })
  }
}

/** Writes what was pushed to the disk, so that this happens in no measured time. Source: sync(1). */
export async function flushDisk(folder: string): Promise<void> {
  await runCommand('sync', ['--file-system', folder])
}
