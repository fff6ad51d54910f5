import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { INDEX_MEDIA_TYPES, MEDIA_TYPES, isDigest } from '@registry-manager/oci'
import { findManifestFault } from './manifest-text.ts'

/** The role of a digest in a manifest. `layer` is every blob except the config. */
export type ReferenceKind = 'config' | 'layer' | 'manifest'

export interface ManifestReference {
  readonly digest: string
  readonly kind: ReferenceKind
  /** In bytes, as the manifest states; null if it states no valid size. */
  readonly size: number | null
  /** Whether the descriptor has `urls`: then the registry need not have the blob. Source: image-spec, descriptor.md. */
  readonly isElsewhere?: boolean
}

/** The facts about a manifest that the index stores besides its bytes. */
export interface ManifestFacts {
  readonly digest: string
  readonly mediaType: string
  /** The type that a list of referrers shows. */
  readonly artifactType: string | undefined
  readonly subject: string | undefined
  readonly annotations: Readonly<Record<string, string>> | undefined
  readonly references: readonly ManifestReference[]
  /** Length in bytes. */
  readonly size: number
}

export interface Manifest extends ManifestFacts {
  readonly raw: Buffer
}

export type ParsedManifest = { readonly manifest: Manifest } | { readonly malformed: string }

/** Every media type of a manifest, those of schema 1 included. */
const MANIFEST_TYPES: ReadonlySet<string> = new Set(Object.values(MEDIA_TYPES))

/** The digest of bytes by the algorithm of another digest. Source: OCI image-spec 1.1, descriptor.md, "Digests". */
export function digestLike(digest: string, raw: Buffer): string {
  const [algorithm = ''] = digest.split(':', 1)
  return `${algorithm}:${createHash(algorithm).update(raw).digest('hex')}`
}

/** Whether a media type is that of an image index: a manifest that lists manifests. */
export function isImageIndex(mediaType: string): boolean {
  return INDEX_MEDIA_TYPES.includes(mediaType)
}

/**
 * Parses a manifest as it was pushed. Its digest is the SHA-256 of its bytes. A manifest that the registry would read
 * differently, or that Postgres cannot store, is malformed.
 * Source: OCI image-spec 1.1, manifest.md and image-index.md; Docker image manifest v2 schema 2.
 */
export function parseManifest(raw: Buffer, contentType: string): ParsedManifest {
  // RFC 8259 §8.1: JSON is UTF-8. JavaScript and Go replace invalid bytes in different ways.
  if (!isUtf8(raw)) return { malformed: 'a manifest must be valid UTF-8' }
  const text = raw.toString('utf8')
  const fault = findManifestFault(text)
  if (fault !== undefined) return { malformed: fault }
  const json = parseObject(text)
  if (json === undefined) return { malformed: 'a manifest must be a JSON object' }
  const mediaType = contentType.split(';', 1)[0]?.trim() ?? ''
  const config = descriptorOf(json['config'])
  const subject = json['subject'] === undefined ? undefined : descriptorOf(json['subject'])
  if (json['subject'] !== undefined && subject === undefined) {
    return { malformed: 'subject must be a descriptor with a sha256 or sha512 digest' }
  }
  const artifactType =
    stringOf(json['artifactType']) ?? (isImageIndex(mediaType) ? undefined : config?.mediaType)
  const annotations = annotationsOf(json['annotations'])
  if (![artifactType ?? '', ...Object.entries(annotations ?? {}).flat()].every(isStorable)) {
    return { malformed: 'artifactType and annotations must not have NUL characters or unpaired surrogates' }
  }
  return {
    manifest: {
      digest: `sha256:${createHash('sha256').update(raw).digest('hex')}`,
      mediaType,
      artifactType,
      subject: subject?.digest,
      annotations,
      references: referencesOf(json),
      size: raw.length,
      raw,
    },
  }
}

/**
 * The references of a stored manifest, even of one that `parseManifest` would refuse. Empty if the bytes are not a JSON
 * object.
 */
export function readReferences(raw: Buffer): readonly ManifestReference[] {
  const json = parseObject(raw.toString('utf8'))
  return json === undefined ? [] : referencesOf(json)
}

/**
 * An image index may reference blobs: BuildKit's cache is an image index of layers and a config. The media type tells
 * them from manifests.
 */
function referencesOf(json: Readonly<Record<string, unknown>>): readonly ManifestReference[] {
  const config = descriptorOf(json['config'])
  const layers = [...descriptorsOf(json['layers']), ...descriptorsOf(json['blobs'])]
  const manifests = descriptorsOf(json['manifests'])
  return unique([
    ...(config === undefined ? [] : [toReference(config, 'config')]),
    ...layers.map((layer) => toReference(layer, 'layer')),
    ...manifests.map((one) => toReference(one, isManifestType(one.mediaType) ? 'manifest' : 'layer')),
  ])
}

/** An entry without a media type comes from a client that references manifests only. */
function isManifestType(mediaType: string | undefined): boolean {
  return mediaType === undefined || MANIFEST_TYPES.has(mediaType)
}

function toReference({ digest, size, isElsewhere }: Descriptor, kind: ReferenceKind): ManifestReference {
  return { digest, kind, size, ...(isElsewhere && { isElsewhere }) }
}

interface Descriptor {
  readonly digest: string
  readonly mediaType: string | undefined
  readonly size: number | null
  readonly isElsewhere: boolean
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function descriptorOf(value: unknown): Descriptor | undefined {
  if (!isObject(value)) return undefined
  const digest = stringOf(value['digest'])
  if (digest === undefined || !isDigest(digest)) return undefined
  const { size, urls } = value
  return {
    digest,
    mediaType: stringOf(value['mediaType']),
    size: typeof size === 'number' && Number.isSafeInteger(size) && size >= 0 ? size : null,
    isElsewhere: urls !== undefined,
  }
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

/** The first reference of each digest in each role. */
function unique(references: readonly ManifestReference[]): readonly ManifestReference[] {
  const byRole = new Map<string, ManifestReference>()
  for (const one of references) {
    const role = `${one.kind} ${one.digest}`
    if (!byRole.has(role)) byRole.set(role, one)
  }
  return [...byRole.values()]
}

/**
 * Whether Postgres can store a string. Checked before the push: a manifest that could not be recorded after it would
 * get 503 on every retry. Source: PostgreSQL, "JSON Types".
 */
function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}

function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
