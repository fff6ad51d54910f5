import type { Database } from '@registry-manager/database'
import { RESERVED_COMPONENT } from '@registry-manager/oci'
import type { QueryResult, RawBuilder } from 'kysely'
import { sql } from 'kysely'
import { containing } from '../index/like-pattern.ts'
import type {
  ArtifactContents,
  ArtifactsQuery,
  CountedPage,
  RepositoriesQuery,
  RepositoryContents,
} from './list-contents.ts'

const REPOSITORY_ORDER = new Map([
  ['lastPush', sql.ref('updated_at')],
  ['name', sql.ref('name')],
  ['artifactCount', sql.ref('artifacts')],
])

/** Reads the registry's contents for administrators: pages by offset, as the provider's API has them. */
export function createContentsRepository(db: Database) {
  return {
    /** Counts manifests from two database indexes alone: of all manifests, and of the few that are pending. */
    async listRepositories(query: RepositoriesQuery): Promise<CountedPage<RepositoryContents>> {
      const { offset, limit, orderBy, search, name } = query
      const [, minus = '', field = ''] = /^(-?)(.*)$/.exec(orderBy) ?? []
      const order = REPOSITORY_ORDER.get(field) ?? sql.ref('updated_at')
      const named = name === undefined ? sql`name like ${containing(search ?? '')}` : sql`name = ${name}`
      const filter = sql`deleting_since is null and ${named}`
      const { rows } = await sql<RepositoryContents>`
        select name, created_at as "createdAt", updated_at as "pushedAt", (
            (select count(*) from all_manifests where repository_id = repositories.id)
            - (select count(*) from all_manifests where repository_id = repositories.id and state = 'pending')
          )::integer as artifacts,
          (select coalesce(sum(pulls), 0) from manifest_pulls where repository_id = repositories.id)::double precision
            as pulls,
          (select max(last_pulled_at) from manifest_pulls where repository_id = repositories.id) as "lastPulledAt"
        from repositories where ${filter}
        order by ${order} ${minus === '-' ? sql`desc` : sql`asc`}, name offset ${offset} limit ${limit}`.execute(
        db,
      )
      const counted = await sql<{ total: string }>`
        select count(*) as total from repositories where ${filter}`.execute(db)
      return { items: rows, total: Number(counted.rows[0]?.total) }
    },

    /** Manifests of one repository, or of all. */
    async listArtifacts(query: ArtifactsQuery): Promise<CountedPage<ArtifactContents>> {
      const { offset, limit, orderBy, repository, digest } = query
      const direction = orderBy.startsWith('-') ? sql`desc` : sql`asc`
      const filter = sql`deleting_since is null
          and ${repository === undefined ? sql`true` : sql`repositories.name = ${repository}`}
          and ${digest === undefined ? sql`true` : sql`digest = ${digest}`}`
      const { rows } = await sql<ArtifactContents>`
        select repositories.name as repository, digest, media_type as "mediaType", pushed_at as "pushedAt",
          coalesce(pulls, 0)::double precision as pulls, last_pulled_at as "lastPulledAt", array(
            select tags.name from tags
            where tags.repository_id = manifests.repository_id and tags.digest = manifests.digest order by tags.name
          )::text[] as tags
        from manifests left join manifest_pulls using (repository_id, digest)
          join repositories on repositories.id = repository_id
        where ${filter}
        order by pushed_at ${direction}, repositories.name, digest offset ${offset} limit ${limit}`.execute(
        db,
      )
      const counted = await sql<{
        total: string
      }>`select count(*) as total from manifests join repositories on repositories.id = repository_id
        where ${filter}`.execute(db)
      return { items: rows, total: Number(counted.rows[0]?.total) }
    },

    async hasRepository(name: string): Promise<boolean> {
      const row = await db
        .selectFrom('repositories')
        .select('id')
        .where('name', '=', name)
        .where('deleting_since', 'is', null)
        .executeTakeFirst()
      return row !== undefined
    },

    /**
     * Bytes of all manifests and of the configs and layers that they reference, each digest once. Content of unknown
     * size counts as 0. Reads pages of a database index, so no statement takes longer in a larger registry. Subtracts
     * the bytes that only pending manifests and the trash need: the index of the pages does not tell them apart.
     */
    async sumBytes(): Promise<number> {
      const documents = await sumSizes(db, sql`all_manifests`, sql`true`)
      const blobs = await sumSizes(db, sql`manifest_references`, sql`kind <> 'manifest'`)
      return Number(documents + blobs - (await sumHidden(db)))
    },
  }
}

/** Number of digests that one statement sums. */
const USAGE_PAGE = 50_000

/** The sum of the sizes in a table, each digest once: the least size, if manifests state different ones. */
async function sumSizes(
  db: Database,
  table: RawBuilder<unknown>,
  condition: RawBuilder<unknown>,
): Promise<bigint> {
  let sum = 0n
  for (let after: string | null = ''; after !== null;) {
    const page: QueryResult<{ bytes: string; last: string | null }> = await sql<{
      bytes: string
      last: string | null
    }>`
      select coalesce(sum(size), 0)::text as bytes, max(digest) as last from (
        select digest, min(size) as size from ${table} where digest > ${after} and ${condition}
        group by digest order by digest limit ${USAGE_PAGE}
      ) page`.execute(db)
    sum += BigInt(page.rows[0]?.bytes ?? 0)
    after = page.rows[0]?.last ?? null
  }
  return sum
}

/**
 * The bytes that `sumSizes` counts for manifests that are pending or in the trash, and for blobs that only they
 * reference.
 */
async function sumHidden(db: Database): Promise<bigint> {
  let sum = await sumPending(db)
  for (let after: string | null = ''; after !== null;) {
    const page: TrashedPage = await sumTrashed(db, after)
    sum += BigInt(page.bytes)
    after = page.last
  }
  return sum
}

/** Leaves out digests that the trash has as well. */
async function sumPending(db: Database): Promise<bigint> {
  const isTrashed = (digest: RawBuilder<unknown>) =>
    sql`exists (select from namespace_blobs where namespace = ${RESERVED_COMPONENT} and digest = ${digest})`
  const { rows } = await sql<{ bytes: string }>`
    with hidden as (
      select repository_id, digest, size from all_manifests where state = 'pending'
    ), unrecorded as (
      select digest, min(size) as size from hidden
      where not exists (select from manifests where manifests.digest = hidden.digest)
        and not ${isTrashed(sql`hidden.digest`)}
      group by digest
      union all
      select reference.digest, min(reference.size) from hidden
      join manifest_references reference
        on reference.repository_id = hidden.repository_id and manifest_digest = hidden.digest
      where kind <> 'manifest' and not ${isTrashed(sql`reference.digest`)} and not exists (
        select from manifest_references other
        join manifests on manifests.repository_id = other.repository_id and manifests.digest = other.manifest_digest
        where other.digest = reference.digest and other.kind <> 'manifest'
      )
      group by reference.digest
    )
    select coalesce(sum(size), 0)::text as bytes from unrecorded`.execute(db)
  return BigInt(rows[0]?.bytes ?? 0)
}

/** Number of digests of the trash that one statement looks up: each may be referenced by many manifests. */
const TRASH_PAGE = 5000

interface TrashedPage {
  readonly last: string | null
  readonly bytes: string
}

/** The digests of the trash come from the counts of its namespace. */
async function sumTrashed(db: Database, after: string): Promise<TrashedPage> {
  const { rows } = await sql<TrashedPage>`
    with trashed as materialized (
      select id from all_repositories
      where name >= ${`${RESERVED_COMPONENT}/`} and name < ${`${RESERVED_COMPONENT}0`}
    ), page as materialized (
      select distinct digest from namespace_blobs
      where namespace = ${RESERVED_COMPONENT} and digest > ${after} order by digest limit ${TRASH_PAGE}
    ), counted as (
      select case when not exists (select from manifests where manifests.digest = page.digest)
          then (select min(size) from all_manifests where all_manifests.digest = page.digest) end as document,
        case when not exists (
            select from manifest_references other
            where other.digest = page.digest and other.kind <> 'manifest'
              and other.repository_id not in (select id from trashed) and exists (
                select from manifests
                where manifests.repository_id = other.repository_id and manifests.digest = other.manifest_digest))
          then (select min(size) from manifest_references as reference
            where reference.digest = page.digest and kind <> 'manifest') end as blob
      from page
    )
    select (select max(digest) from page) as last,
      coalesce(sum(coalesce(document, 0) + coalesce(blob, 0)), 0)::text as bytes from counted`.execute(db)
  return rows[0] ?? { last: null, bytes: '0' }
}
