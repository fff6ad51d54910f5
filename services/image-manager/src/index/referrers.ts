import { isDigest } from '@registry-manager/oci'
import type { IndexQueries, ReferrerRow } from './index-queries.ts'

/** Source: OCI image-spec 1.1, descriptor.md. */
export interface ReferrerDescriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Record<string, string>
}

/** A page is about this long at the most, in bytes and in descriptors; a single descriptor may be longer. */
const [PAGE_BYTES, PAGE_SIZE] = [1024 * 1024, 1000]

export interface ReferrersPage {
  readonly manifests: ReferrerDescriptor[]
  /** The digest after which the next page begins; undefined if this is the last. */
  readonly next?: string
}

/**
 * One page of the manifests that name a digest as their subject, in the order of their digests; of one artifact type
 * where it is given. Clients that know no referrers API keep them in an index under a tag made of the digest: those
 * are found too.
 * Source: OCI distribution-spec 1.1, "Listing Referrers" and "Referrers Tag Schema".
 */
export async function findReferrers(
  queries: Pick<IndexQueries, 'findRepository' | 'listReferrers' | 'findManifest' | 'filterKnown'>,
  repository: string,
  digest: string,
  { artifactType, after = '' }: { readonly artifactType?: string; readonly after?: string } = {},
): Promise<ReferrersPage> {
  const found = await queries.findRepository(repository)
  if (found === undefined) return { manifests: [] }
  const limits = { limit: PAGE_SIZE, bytes: PAGE_BYTES }
  const { rows, more } = await queries.listReferrers(found.id, digest, { artifactType, after, ...limits })
  const fallback = await queries.findManifest(repository, { tag: fallbackTag(digest) })
  const named = (fallback === undefined ? [] : descriptorsOf(fallback.raw)).filter(
    (one) => one.digest > after && (artifactType === undefined || one.artifactType === artifactType),
  )
  // Clients keep the tag; nobody tells them that a manifest is deleted.
  const known = await queries.filterKnown(
    found.id,
    named.map((one) => one.digest),
  )
  const all = [...named.filter((one) => known.has(one.digest)), ...rows.map(toDescriptor)]
  const unique = new Map(all.map((descriptor) => [descriptor.digest, descriptor]))
  const sorted = [...unique.values()].toSorted((a, b) => (a.digest < b.digest ? -1 : 1))
  // What the tag names behind the last row comes with a later page, after the rows before it.
  const end = more ? rows.at(-1)?.digest : undefined
  return cutPage(end === undefined ? sorted : sorted.filter((one) => one.digest <= end), more)
}

/** As many of some descriptors as fit into a page, at least one; `more`: whether others follow them. */
function cutPage(descriptors: readonly ReferrerDescriptor[], more: boolean): ReferrersPage {
  const manifests: ReferrerDescriptor[] = []
  let bytes = 0
  for (const descriptor of descriptors) {
    bytes += Buffer.byteLength(JSON.stringify(descriptor))
    if (manifests.length > 0 && bytes > PAGE_BYTES) break
    manifests.push(descriptor)
  }
  const isCut = more || manifests.length < descriptors.length
  return { manifests, next: isCut ? manifests.at(-1)?.digest : undefined }
}
/** Source: OCI distribution-spec 1.1, "Referrers Tag Schema": the encoded part is cut after 64 characters. */
function fallbackTag(digest: string): string {
  const [algorithm = '', encoded = ''] = digest.split(':')
  return `${algorithm}-${encoded.slice(0, 64)}`
}

function toDescriptor({
  mediaType,
  digest,
  size,
  artifactType,
  annotations,
}: ReferrerRow): ReferrerDescriptor {
  return {
    mediaType,
    digest,
    size,
    ...(artifactType !== null && { artifactType }),
    ...(annotations !== null && { annotations }),
  }
}

/** The descriptors of an index; what is not one is passed over. */
function descriptorsOf(raw: Buffer): ReferrerDescriptor[] {
  const index = JSON.parse(Buffer.from(raw).toString('utf8')) as { manifests?: unknown }
  const list: unknown[] = Array.isArray(index.manifests) ? index.manifests : []
  return list.filter(
    (one): one is ReferrerDescriptor =>
      typeof (one as ReferrerDescriptor)?.digest === 'string' &&
      isDigest((one as ReferrerDescriptor).digest) &&
      typeof (one as ReferrerDescriptor).mediaType === 'string' &&
      typeof (one as ReferrerDescriptor).size === 'number',
  )
}
