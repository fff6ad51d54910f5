import { createHash, randomBytes } from 'node:crypto'

export type Algorithm = 'sha256' | 'sha512'

/** Source: OCI image-spec 1.1, descriptor.md. */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

/** A manifest with the contents that must be in a repository before it. */
export interface Made {
  readonly descriptor: Descriptor
  readonly bytes: Buffer
  readonly algorithm: Algorithm
  readonly blobs: readonly Buffer[]
  readonly children: readonly Made[]
}

export type Content = readonly [mediaType: string, bytes: Buffer]

export const MEDIA_TYPES = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  empty: 'application/vnd.oci.empty.v1+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
} as const

/** An empty config or layer. Source: OCI image-spec 1.1, manifest.md, "Guidance for an Empty Descriptor". */
export const EMPTY: Content = [MEDIA_TYPES.empty, Buffer.from('{}')]

export function digestOf(content: string | Buffer, algorithm: Algorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(content).digest('hex')}`
}

export function describe([mediaType, bytes]: Content, algorithm: Algorithm = 'sha256'): Descriptor {
  return { mediaType, digest: digestOf(bytes, algorithm), size: bytes.length }
}

export interface ImageParts {
  readonly mediaType?: string
  readonly config?: Content
  readonly layers?: readonly Content[]
  /** More fields of the manifest: artifactType, subject, annotations, … */
  readonly fields?: object
  readonly algorithm?: Algorithm
}

/** Makes an image or artifact manifest. Manifests without given config and layers are all different. */
export function makeImage(parts: ImageParts = {}): Made {
  const { mediaType = MEDIA_TYPES.manifest, algorithm = 'sha256', fields } = parts
  const { config = imageConfig(), layers = [randomLayer(), randomLayer()] } = parts
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: describe(config, algorithm),
    layers: layers.map((layer) => describe(layer, algorithm)),
    ...fields,
  }
  const blobs = [config, ...layers].map(([, bytes]) => bytes)
  return make(mediaType, manifest, { algorithm, blobs, children: [] })
}

export interface IndexParts {
  readonly mediaType?: string
  readonly fields?: object
  readonly algorithm?: Algorithm
}

/** Makes an image index of other manifests, each for another architecture. */
export function makeIndex(children: readonly Made[], parts: IndexParts = {}): Made {
  const { mediaType = MEDIA_TYPES.index, algorithm = 'sha256', fields } = parts
  const manifests = children.map(({ descriptor }, number) => ({
    ...descriptor,
    platform: { os: 'linux', architecture: ['amd64', 'arm64', 's390x'][number] ?? 'riscv64' },
  }))
  const index = { schemaVersion: 2, mediaType, manifests, ...fields }
  return make(mediaType, index, { algorithm, blobs: [], children })
}

export function randomLayer(bytes = 512): Content {
  return [MEDIA_TYPES.layer, randomBytes(bytes)]
}

function imageConfig(): Content {
  const config = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } }
  const text = JSON.stringify({ ...config, author: randomBytes(8).toString('hex') })
  return [MEDIA_TYPES.config, Buffer.from(text)]
}

function make(mediaType: string, json: object, rest: Pick<Made, 'algorithm' | 'blobs' | 'children'>): Made {
  const bytes = Buffer.from(JSON.stringify(json))
  return { descriptor: describe([mediaType, bytes], rest.algorithm), bytes, ...rest }
}
