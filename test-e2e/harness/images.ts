import { createCipheriv, createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { basic, type Credentials } from './system.ts'

const mediaTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
}

export const ociManifest = mediaTypes.manifest
export const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json'

export interface Descriptor {
  mediaType: string
  digest: string
  size: number
}

export interface Manifest {
  schemaVersion: 2
  mediaType: string
  config: Descriptor
  layers: Descriptor[]
}

export interface ImageOptions {
  /** The same seed makes the same bytes and digests. */
  seed: string
  layers: number
  layerBytes: number
  architecture?: string
}

export interface Image {
  descriptor: Descriptor
  architecture: string
  manifest: Manifest
  /** Digests of the uncompressed layers, which do not change if a client compresses the layers again. */
  diffIds: string[]
}

/**
 * Writes an OCI image layout with one image of random, incompressible layers, tagged `latest`. Packed with tar it is
 * also an archive for `docker load`, which names the image `made-here:latest`.
 */
export async function createImage(layout: string, options: ImageOptions): Promise<Image> {
  const image = await writeImage(layout, options)
  await writeLayout(layout, image.descriptor)
  const { config, layers } = image.manifest
  await writeJson(join(layout, 'manifest.json'), [
    {
      Config: blobPath(config.digest),
      RepoTags: ['made-here:latest'],
      Layers: layers.map(({ digest }) => blobPath(digest)),
    },
  ])
  return image
}

/** Writes an OCI image layout with an image index, tagged `latest`, of one image per architecture. */
export async function createIndex(
  layout: string,
  architectures: string[],
  options: Omit<ImageOptions, 'architecture'>,
): Promise<{ descriptor: Descriptor; images: Image[] }> {
  const images: Image[] = []
  for (const architecture of architectures) {
    images.push(
      await writeImage(layout, { ...options, seed: `${options.seed} ${architecture}`, architecture }),
    )
  }
  const manifests = images.map(({ descriptor, architecture }) => ({
    ...descriptor,
    platform: { architecture, os: 'linux' },
  }))
  const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests }
  const descriptor = await writeBlob(layout, mediaTypes.index, toJson(index))
  await writeLayout(layout, descriptor)
  return { descriptor, images }
}

/** Reads a manifest from the registry. The digest is computed from the received bytes. */
export async function fetchManifest(
  registryUrl: string,
  credentials: Credentials,
  repository: string,
  reference: string,
): Promise<{ digest: string; manifest: Manifest }> {
  const accept = `${mediaTypes.manifest}, ${dockerManifest}`
  const url = `${registryUrl}/v2/${repository}/manifests/${reference}`
  const response = await fetch(url, { headers: { authorization: basic(credentials), accept } })
  if (!response.ok) throw new Error(`GET ${url}: ${response.status} ${await response.text()}`)
  const bytes = await response.bytes()
  return { digest: digestOf(bytes), manifest: JSON.parse(Buffer.from(bytes).toString()) }
}

/**
 * Reads a `dir:` folder of skopeo: the manifest or image index and its contents. All digests are computed from the
 * bytes. Lists are sorted.
 */
export async function readImageFolder(folder: string) {
  const names = await readdir(folder)
  const digestsOf = async (pattern: RegExp) => {
    const contents = names.filter((name) => pattern.test(name)).map((name) => readFile(join(folder, name)))
    return (await Promise.all(contents)).map(digestOf).toSorted()
  }
  const bytes = await readFile(join(folder, 'manifest.json'))
  return {
    digest: digestOf(bytes),
    manifest: JSON.parse(bytes.toString()),
    manifests: await digestsOf(/^[0-9a-f]{64}\.manifest\.json$/),
    blobs: await digestsOf(/^[0-9a-f]{64}$/),
  }
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

async function writeImage(layout: string, options: ImageOptions): Promise<Image> {
  await mkdir(join(layout, 'blobs/sha256'), { recursive: true })
  const { seed, layers: count, layerBytes, architecture = 'amd64' } = options
  const layers: Descriptor[] = []
  const diffIds: string[] = []
  for (let number = 0; number < count; number++) {
    const tar = tarOf(`layer-${number}`, randomBytes(`${seed} ${number}`, layerBytes))
    diffIds.push(digestOf(tar))
    // Level 0 only stores: random bytes do not compress.
    layers.push(await writeBlob(layout, mediaTypes.layer, gzipSync(tar, { level: 0 })))
  }
  const rootfs = { type: 'layers', diff_ids: diffIds }
  const history = diffIds.map(() => ({ created: '2026-01-01T00:00:00Z', created_by: seed }))
  const created = '2026-01-01T00:00:00Z'
  const configBytes = toJson({ created, architecture, os: 'linux', config: {}, rootfs, history })
  const config = await writeBlob(layout, mediaTypes.config, configBytes)
  const manifest: Manifest = { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers }
  const descriptor = await writeBlob(layout, mediaTypes.manifest, toJson(manifest))
  return { descriptor, architecture, manifest, diffIds }
}

async function writeLayout(layout: string, descriptor: Descriptor) {
  const annotations = { 'org.opencontainers.image.ref.name': 'latest' }
  const manifests = [{ ...descriptor, annotations }]
  await writeJson(join(layout, 'oci-layout'), { imageLayoutVersion: '1.0.0' })
  await writeJson(join(layout, 'index.json'), { schemaVersion: 2, manifests })
}

async function writeBlob(layout: string, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const digest = digestOf(bytes)
  await writeFile(join(layout, blobPath(digest)), bytes)
  return { mediaType, digest, size: bytes.length }
}

function blobPath(digest: string): string {
  return `blobs/sha256/${digest.slice('sha256:'.length)}`
}

function toJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

function writeJson(path: string, value: unknown): Promise<void> {
  return writeFile(path, toJson(value))
}

/** Generates the key stream of AES in counter mode: gigabytes per second, the same for the same seed. */
function randomBytes(seed: string, size: number): Buffer {
  const key = createHash('sha256').update(seed).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size))
}

/** Makes a tar archive of one file, in the ustar format (POSIX.1-1988, table 10-1 "ustar Header Block"). */
function tarOf(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0)
  header.write(octal(0o644, 7), 100)
  header.write(octal(0, 7), 108)
  header.write(octal(0, 7), 116)
  header.write(octal(content.length, 11), 124)
  header.write(octal(1_767_225_600, 11), 136)
  header.write('        ', 148) // The checksum is computed with blanks in its own field.
  header.write('0', 156)
  header.write('ustar\u000000', 257)
  header.write(
    `${octal(
      header.reduce((sum, byte) => sum + byte),
      6,
    )}\0 `,
    148,
  )
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512)
  return Buffer.concat([header, content, padding, Buffer.alloc(1024)])
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0')
}
