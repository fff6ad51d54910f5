import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { isDigest } from '@registry-manager/oci'
import { findManifestFault } from './manifest-text.ts'

/** What one thing that a manifest names is to it; `layer` is every blob that is no config. */
export type ReferenceKind = 'config' | 'layer' | 'manifest'

export interface ManifestReference {
  readonly digest: string
  readonly kind: ReferenceKind
  /** In bytes, as the manifest says; null where it says nothing that can be a size. */
  readonly size: number | null
  /** Whether it says where else the blob is: then the registry need not have it (image-spec, descriptor.md, `urls`). */
  readonly isElsewhere?: boolean
}

/** A manifest without its bytes, as far as the index needs to know it. */
export interface ManifestFacts {
  readonly digest: string
  readonly mediaType: string
  /** What a list of referrers calls it. */
  readonly artifactType: string | undefined
  readonly subject: string | undefined
  readonly annotations: Readonly<Record<string, string>> | undefined
  readonly references: readonly ManifestReference[]
  /** Length of its bytes. */
  readonly size: number
}

export interface Manifest extends ManifestFacts {
  readonly raw: Buffer
}

export type ParsedManifest = { readonly manifest: Manifest } | { readonly malformed: string }

const INDEX_TYPES = new Set([
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
])
/** Types of what the registry knows as a manifest. */
const MANIFEST_TYPES = new Set([
  ...INDEX_TYPES,
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.artifact.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
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
 * Parses a manifest as it was pushed; its digest is the SHA-256 of its bytes. What the registry would read differently,
 * or the index cannot hold, is malformed.
 * Source: OCI image-spec 1.1, manifest.md and image-index.md; Docker image manifest v2 schema 2.
 */
export function parseManifest(raw: Buffer, contentType: string): ParsedManifest {
  // RFC 8259 §8.1: JSON is UTF-8. JavaScript and Go would each replace what is not, and not with the same.
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
    return { malformed: 'subject must be a descriptor, with a sha256 or sha512 digest' }
  }
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
      references: referencesOf(json),
      size: raw.length,
      raw,
    },
  }
}

/**
 * What the bytes of a manifest name, however many that are and whatever else is wrong with them; nothing where they are
 * no JSON object. For manifests that are there already, and that `parseManifest` would refuse.
 */
export function readReferences(raw: Buffer): readonly ManifestReference[] {
  const json = parseObject(raw.toString('utf8'))
  return json === undefined ? [] : referencesOf(json)
}

/** An index may name blobs: BuildKit's cache is an index of layers and a config. They are told by their media types. */
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

/** An entry of an index without a type is one of a client that knows manifests only. */
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
  const digest = textOf(value['digest'])
  if (digest === undefined || !isDigest(digest)) return undefined
  const { size, urls } = value
  return {
    digest,
    mediaType: textOf(value['mediaType']),
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

/** Each digest once in each role: the first of them. */
function unique(references: readonly ManifestReference[]): readonly ManifestReference[] {
  const byRole = new Map<string, ManifestReference>()
  for (const one of references) {
    const role = `${one.kind} ${one.digest}`
    if (!byRole.has(role)) byRole.set(role, one)
  }
  return [...byRole.values()]
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
