import type { Made } from '../manifests.ts'
import { digestOf } from '../manifests.ts'

/** The model of a client of its content in one repository. */
export interface Holding {
  readonly name: string
  /** Manifests by their digests, those of image indexes and signatures included. */
  readonly images: Map<string, Made>
  readonly tags: Map<string, string>
  /** The manifests that each tag has named, with a time at which it did. */
  readonly periods: Map<string, { readonly digest: string; readonly at: Date }[]>
}

/** Content that a client has deleted. */
export interface Tombstone {
  readonly repository: string
  /** The deleted manifest; null for a repository. */
  readonly digest: string | null
  /** The content that a restore must bring back. */
  readonly images: ReadonlyMap<string, Made>
  readonly tags: ReadonlyMap<string, string>
  readonly begunAt: Date
  readonly endedAt: Date
  /** Whether no process was killed during the deletion. */
  readonly isCalm: boolean
  /** Whether the entry of the trash was restored or purged. */
  isOver: boolean
}

export function createHolding(name: string): Holding {
  return { name, images: new Map(), tags: new Map(), periods: new Map() }
}

export function setTag({ tags, periods }: Holding, tag: string, digest: string): void {
  tags.set(tag, digest)
  periods.set(tag, [...(periods.get(tag) ?? []), { digest, at: new Date() }])
}

export function removeImage({ images, tags }: Holding, digest: string): void {
  images.delete(digest)
  for (const [tag, named] of tags) if (named === digest) tags.delete(tag)
}

export function clear({ images, tags, periods }: Holding): void {
  for (const map of [images, tags, periods]) map.clear()
}

/** A manifest and the manifests that it references. */
export function closureOf(made: Made): Made[] {
  return [made, ...made.children.flatMap(closureOf)]
}

/** Adds a manifest with those that it references. */
export function addImage({ images }: Pick<Holding, 'images'>, made: Made): void {
  for (const one of closureOf(made)) images.set(one.descriptor.digest, one)
}

export function subjectOf({ bytes }: Made): string | undefined {
  return JSON.parse(bytes.toString()).subject?.digest
}

/** Whether an image index of the repository lists a manifest. */
export function isListed({ images }: Holding, digest: string): boolean {
  return [...images.values()].some(({ children }) =>
    children.some(({ descriptor }) => descriptor.digest === digest),
  )
}

/**
 * The content that the trash gets when a manifest is deleted: the manifest, its references, and the manifests without a
 * name that refer to it. A name is a tag or an image index. (docs/space.md, "Trash")
 */
export function contentsOf(holding: Holding, digest: string): Map<string, Made> {
  const named = new Set(holding.tags.values())
  const contents = { images: new Map<string, Made>() }
  const queue = [digest]
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const made = holding.images.get(next)
    if (made === undefined) continue
    addImage(contents, made)
    for (const [referrer, one] of holding.images)
      if (subjectOf(one) === next && !named.has(referrer) && !isListed(holding, referrer))
        queue.push(referrer)
  }
  return contents.images
}

/** The digests of all blobs that manifests reference. */
export function blobsOf(images: Iterable<Made>): Set<string> {
  return new Set([...images].flatMap(({ blobs }) => blobs.map((blob) => digestOf(blob))))
}
