import { createHash } from 'node:crypto'
import { isDigest } from '@registry-manager/oci'

/** What one thing that a manifest names is to it. */
export type ReferenceKind = 'config' | 'layer' | 'manifest'

/** A manifest, as far as the index needs to know it. */
export interface Manifest {
  readonly digest: string
  readonly mediaType: string
  /** What a list of referrers calls it. */
  readonly artifactType: string | undefined
  readonly subject: string | undefined
  readonly annotations: Readonly<Record<string, string>> | undefined
  readonly references: readonly { readonly digest: string; readonly kind: ReferenceKind }[]
  readonly raw: Buffer
}

export type ParsedManifest = { readonly manifest: Manifest } | { readonly malformed: string }

const INDEX_TYPES = new Set([
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
])

/** The digest of bytes in the algorithm of another digest. Source: OCI image-spec 1.1, descriptor.md, "Digests". */
export function digestLike(digest: string, raw: Buffer): string {
  const [algorithm = ''] = digest.split(':', 1)
  return `${algorithm}:${createHash(algorithm).update(raw).digest('hex')}`
}

/** Whether a media type is an index's: a manifest of manifests. */
export function isIndex(mediaType: string): boolean {
  return INDEX_TYPES.has(mediaType)
}

/**
 * Parses a manifest as it was pushed; its digest is the SHA-256 of its bytes.
 * Source: OCI image-spec 1.1, manifest.md and image-index.md; Docker image manifest v2 schema 2.
 */
export function parseManifest(raw: Buffer, contentType: string): ParsedManifest {
  const mediaType = contentType.split(';', 1)[0]?.trim() ?? ''
  const json = parseObject(raw)
  if (json === undefined) return { malformed: 'a manifest is a JSON object' }
  const config = descriptorOf(json['config'])
  const subject = json['subject'] === undefined ? undefined : descriptorOf(json['subject'])
  if (json['subject'] !== undefined && subject === undefined) {
    return { malformed: 'subject must be a descriptor, with a sha256 or sha512 digest' }
  }
  const layers = [...descriptorsOf(json['layers']), ...descriptorsOf(json['blobs'])]
  const references = [
    ...(config === undefined ? [] : [{ digest: config.digest, kind: 'config' as const }]),
    ...layers.map(({ digest }) => ({ digest, kind: 'layer' as const })),
    ...descriptorsOf(json['manifests']).map(({ digest }) => ({ digest, kind: 'manifest' as const })),
  ]
  const artifactType = textOf(json['artifactType']) ?? (isIndex(mediaType) ? undefined : config?.mediaType)
  const annotations = annotationsOf(json['annotations'])
  if (![artifactType ?? '', ...Object.entries(annotations ?? {}).flat()].every(isStorable)) {
    return { malformed: 'artifactType and annotations must be text, without NUL and unpaired surrogates' }
  }
  return {
    manifest: {
      digest: `sha256:${createHash('sha256').update(raw).digest('hex')}`,
      mediaType,
      artifactType,
      subject: subject?.digest,
      annotations,
      references: unique(references),
      raw,
    },
  }
}

interface Descriptor {
  readonly digest: string
  readonly mediaType: string | undefined
}

function parseObject(raw: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(raw.toString('utf8'))
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function descriptorOf(value: unknown): Descriptor | undefined {
  if (!isObject(value)) return undefined
  const digest = textOf(value['digest'])
  return digest !== undefined && isDigest(digest)
    ? { digest, mediaType: textOf(value['mediaType']) }
    : undefined
}

function descriptorsOf(value: unknown): Descriptor[] {
  return Array.isArray(value) ? value.map(descriptorOf).filter((one) => one !== undefined) : []
}

function annotationsOf(value: unknown): Record<string, string> | undefined {
  if (!isObject(value)) return undefined
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}

function unique(references: Manifest['references']): Manifest['references'] {
  return [...new Map(references.map((one) => [`${one.kind} ${one.digest}`, one])).values()]
}

/**
 * Whether Postgres can hold it: refused before the push, since what cannot be written down after it would be
 * answered 503 however often it is repeated. Source: PostgreSQL, "JSON Types".
 */
function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
