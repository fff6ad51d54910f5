import type { IndexQueries, ReferrerRow } from '../adapters/index-queries.ts'

/** Source: OCI image-spec 1.1, descriptor.md. */
export interface ReferrerDescriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Record<string, string>
}

/**
 * The manifests that name a digest as their subject; of one artifact type where it is given. Clients that
 * know no referrers API keep them in an index under a tag made of the digest: those are found too.
 * Source: OCI distribution-spec 1.1, "Listing Referrers" and "Referrers Tag Schema".
 */
export async function findReferrers(
  queries: Pick<IndexQueries, 'findRepository' | 'listReferrers' | 'findManifest' | 'filterKnown'>,
  repository: string,
  digest: string,
  artifactType: string | undefined,
): Promise<ReferrerDescriptor[]> {
  const found = await queries.findRepository(repository)
  if (found === undefined) return []
  const rows = await queries.listReferrers(found.id, digest)
  const fallback = await queries.findManifest(repository, { tag: fallbackTag(digest) })
  const named = fallback === undefined ? [] : descriptorsOf(fallback.raw)
  // Clients keep the tag; nobody tells them that a manifest is deleted.
  const known = await queries.filterKnown(
    found.id,
    named.map(({ digest }) => digest),
  )
  const all = [...named.filter(({ digest }) => known.has(digest)), ...rows.map(toDescriptor)]
  const unique = new Map(all.map((descriptor) => [descriptor.digest, descriptor]))
  return [...unique.values()].filter((one) => artifactType === undefined || one.artifactType === artifactType)
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
      typeof (one as ReferrerDescriptor).mediaType === 'string' &&
      typeof (one as ReferrerDescriptor).size === 'number',
  )
}
