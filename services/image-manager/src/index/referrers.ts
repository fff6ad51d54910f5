import type { Reference } from '@registry-manager/oci'
import { isDigest } from '@registry-manager/oci'
import type { Page, Repository } from './repository.ts'

/** A manifest that has a subject, as the index stores it. */
interface Referrer {
  readonly digest: string
  readonly mediaType: string
  readonly artifactType: string | null
  readonly annotations: Record<string, string> | null
  /** Bytes of the manifest. */
  readonly size: number
}

export interface FindReferrersPorts {
  readonly repositories: { findRepository(name: string): Promise<Pick<Repository, 'id'> | undefined> }
  readonly manifestLookup: {
    /** `more`: whether other referrers follow the rows. */
    listReferrers(
      repositoryId: string,
      subject: string,
      page: {
        readonly artifactType?: string
        readonly after: string
        readonly limit: number
        readonly bytes: number
      },
    ): Promise<{ readonly rows: readonly Referrer[]; readonly more: boolean }>
    findManifest(repository: string, reference: Reference): Promise<{ readonly raw: Buffer } | undefined>
  }
  readonly manifests: {
    filterManifests(repository: string, digests: readonly string[]): Promise<ReadonlySet<string>>
  }
}

/** Source: OCI image-spec 1.1, descriptor.md. */
export interface ReferrerDescriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Record<string, string>
}

/** The limits of a page, in bytes and in descriptors. A single descriptor may be longer. */
const [PAGE_BYTES, PAGE_SIZE] = [1024 * 1024, 1000]

/**
 * One page of the manifests whose subject is a digest, ordered by their digests, optionally of one artifact type.
 * Includes the referrers that clients without the referrers API list in an image index, whose tag is made of the
 * digest. Source: OCI distribution-spec 1.1, "Listing Referrers" and "Referrers Tag Schema".
 */
export async function findReferrers(
  { repositories, manifestLookup, manifests }: FindReferrersPorts,
  repository: string,
  digest: string,
  { artifactType, after = '' }: { readonly artifactType?: string; readonly after?: string } = {},
): Promise<Page<ReferrerDescriptor>> {
  const found = await repositories.findRepository(repository)
  if (found === undefined) return { items: [], next: undefined }
  const limits = { limit: PAGE_SIZE, bytes: PAGE_BYTES }
  const { rows, more } = await manifestLookup.listReferrers(found.id, digest, {
    artifactType,
    after,
    ...limits,
  })
  const fallback = await manifestLookup.findManifest(repository, { tag: fallbackTag(digest) })
  const listed = (fallback === undefined ? [] : descriptorsOf(fallback.raw)).filter(
    (one) => one.digest > after && (artifactType === undefined || one.artifactType === artifactType),
  )
  // Clients maintain the fallback tag, so it may list manifests that were deleted.
  const known = await manifests.filterManifests(
    repository,
    listed.map((one) => one.digest),
  )
  const all = [...listed.filter((one) => known.has(one.digest)), ...rows.map(toDescriptor)]
  const unique = new Map(all.map((descriptor) => [descriptor.digest, descriptor]))
  const sorted = [...unique.values()].toSorted((a, b) => (a.digest < b.digest ? -1 : 1))
  // If more rows follow, descriptors with a greater digest than the last row's belong to a later page.
  const end = more ? rows.at(-1)?.digest : undefined
  return cutPage(end === undefined ? sorted : sorted.filter((one) => one.digest <= end), more)
}

/** As many descriptors as fit into a page, but at least one. `more`: whether others follow them. */
function cutPage(descriptors: readonly ReferrerDescriptor[], more: boolean): Page<ReferrerDescriptor> {
  const items: ReferrerDescriptor[] = []
  let bytes = 0
  for (const descriptor of descriptors) {
    bytes += Buffer.byteLength(JSON.stringify(descriptor))
    if (items.length > 0 && bytes > PAGE_BYTES) break
    items.push(descriptor)
  }
  const isCut = more || items.length < descriptors.length
  return { items, next: isCut ? items.at(-1)?.digest : undefined }
}

/** Source: OCI distribution-spec 1.1, "Referrers Tag Schema": the encoded part is cut after 64 characters. */
function fallbackTag(digest: string): string {
  const [algorithm = '', encoded = ''] = digest.split(':')
  return `${algorithm}-${encoded.slice(0, 64)}`
}

function toDescriptor({ mediaType, digest, size, artifactType, annotations }: Referrer): ReferrerDescriptor {
  return {
    mediaType,
    digest,
    size,
    ...(artifactType !== null && { artifactType }),
    ...(annotations !== null && { annotations }),
  }
}

/** The valid descriptors of an image index. */
function descriptorsOf(raw: Buffer): ReferrerDescriptor[] {
  const imageIndex = JSON.parse(Buffer.from(raw).toString('utf8')) as { manifests?: unknown }
  const list: unknown[] = Array.isArray(imageIndex.manifests) ? imageIndex.manifests : []
  return list.filter(
    (one): one is ReferrerDescriptor =>
      typeof (one as ReferrerDescriptor)?.digest === 'string' &&
      isDigest((one as ReferrerDescriptor).digest) &&
      typeof (one as ReferrerDescriptor).mediaType === 'string' &&
      typeof (one as ReferrerDescriptor).size === 'number',
  )
}
