import type { Database } from '@registry-manager/database'
import type { Reference } from '@registry-manager/oci'
import { sql } from 'kysely'

interface ReferrerRow {
  readonly digest: string
  readonly mediaType: string
  readonly artifactType: string | null
  readonly annotations: Record<string, string> | null
  /** Bytes of the manifest. */
  readonly size: number
}

interface ManifestDescription {
  readonly position: number
  readonly digest: string
  readonly mediaType: string
  readonly indexOnly: boolean
}

/** Reads manifests for clients. Repositories that are being deleted count as absent. */
export function createManifestLookupRepository(db: Database) {
  const namedBy = (repository: string, reference: Reference) =>
    db
      .selectFrom('manifests')
      .innerJoin('repositories', 'repositories.id', 'manifests.repository_id')
      .where('repositories.name', '=', repository)
      .where('deleting_since', 'is', null)
      .$if('tag' in reference, (query) =>
        query
          .innerJoin('tags', (join) =>
            join
              .onRef('tags.repository_id', '=', 'manifests.repository_id')
              .onRef('tags.digest', '=', 'manifests.digest'),
          )
          .where('tags.name', '=', 'tag' in reference ? reference.tag : ''),
      )
      .$if('digest' in reference, (query) => {
        const digest = 'digest' in reference ? reference.digest : ''
        return query.where((eb) => eb.or([eb('manifests.digest', '=', digest), eb('sha512', '=', digest)]))
      })

  return {
    /** The manifest that a tag or a digest names, with its bytes as they were pushed. */
    async findManifest(repository: string, reference: Reference) {
      return namedBy(repository, reference)
        .select(['manifests.digest', 'media_type as mediaType', 'raw'])
        .select(sql<boolean>`manifests.state = 'index-only'`.as('indexOnly'))
        .executeTakeFirst()
    },

    /** The facts of those manifests that exist. `position` is the position of the manifest in the list of names. */
    async describeManifests(
      named: readonly { readonly repository: string; readonly reference: string }[],
    ): Promise<ManifestDescription[]> {
      // A digest contains a colon and a tag does not, so a digest never finds a tag.
      const { rows } = await sql<ManifestDescription>`
        select position::integer - 1 as position, manifests.digest, media_type as "mediaType", state = 'index-only' as "indexOnly"
        from unnest(${sql.val(named.map(({ repository }) => repository))}::text[],
          ${sql.val(named.map(({ reference }) => reference))}::text[]) with ordinality named (repository, reference, position)
        join repositories on repositories.name = named.repository and deleting_since is null
        left join tags on tags.repository_id = repositories.id and tags.name = named.reference
        join manifests on manifests.repository_id = repositories.id
          and manifests.digest = coalesce(tags.digest, named.reference)`.execute(db)
      return rows
    },

    /** The length of a manifest in bytes. */
    async measureManifest(repository: string, reference: Reference): Promise<number | undefined> {
      const row = await namedBy(repository, reference)
        .select(sql<number>`length(raw)`.as('size'))
        .executeTakeFirst()
      return row?.size
    },

    /**
     * Returns one page of the manifests whose subject is this digest, ordered by digest. The manifests of a page have
     * at most `bytes` bytes in total, unless the first one alone is longer. The limit uses the length of the manifest,
     * because Postgres knows it without reading the manifest and a descriptor is never longer.
     */
    async listReferrers(
      repositoryId: string,
      subject: string,
      page: {
        readonly artifactType?: string
        readonly after: string
        readonly limit: number
        readonly bytes: number
      },
    ): Promise<{ rows: ReferrerRow[]; more: boolean }> {
      const { artifactType, after, limit, bytes } = page
      const ofType = artifactType === undefined ? sql`` : sql`and artifact_type = ${artifactType}`
      const { rows } = await sql<ReferrerRow & { following: number }>`
        select digest, media_type as "mediaType", artifact_type as "artifactType", annotations,
          counted.length as size, following
        from (
          select digest, each.length, sum(each.length) over (order by digest) - each.length as before,
            (count(*) over ())::integer as following
          from (
            select digest, length(raw) as length from manifests
            where repository_id = ${repositoryId} and subject = ${subject} and digest > ${after} ${ofType}
            order by digest limit ${limit + 1}
          ) each
        ) counted
        join manifests using (digest)
        where repository_id = ${repositoryId} and (before = 0 or before + counted.length <= ${bytes})
        order by digest limit ${limit}`.execute(db)
      return { rows, more: (rows[0]?.following ?? 0) > rows.length }
    },
  }
}
