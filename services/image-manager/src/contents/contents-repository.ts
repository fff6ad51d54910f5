import type { Database } from '@registry-manager/database'
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
          )::integer as artifacts
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
      const from = sql`
        manifests join repositories on repositories.id = repository_id
        where deleting_since is null
          and ${repository === undefined ? sql`true` : sql`repositories.name = ${repository}`}
          and ${digest === undefined ? sql`true` : sql`digest = ${digest}`}`
      const { rows } = await sql<ArtifactContents>`
        select repositories.name as repository, digest, media_type as "mediaType", pushed_at as "pushedAt", array(
            select tags.name from tags
            where tags.repository_id = manifests.repository_id and tags.digest = manifests.digest order by tags.name
          )::text[] as tags
        from ${from}
        order by pushed_at ${direction}, repositories.name, digest offset ${offset} limit ${limit}`.execute(
        db,
      )
      const counted = await sql<{ total: string }>`select count(*) as total from ${from}`.execute(db)
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
     * what only pending manifests need: there are few of them, and the index of the pages does not tell them apart.
     */
    async sumBytes(): Promise<number> {
      const documents = await sumSizes(db, sql`all_manifests`, sql`true`)
      const blobs = await sumSizes(db, sql`manifest_references`, sql`kind <> 'manifest'`)
      return Number(documents + blobs - (await sumPending(db)))
    },
  }
}

/** How many digests one statement sums. */
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

/** Bytes of the pending manifests and of the blobs that only they reference. */
async function sumPending(db: Database): Promise<bigint> {
  const { rows } = await sql<{ bytes: string }>`
    with pending as (
      select repository_id, digest, size from all_manifests where state = 'pending'
    ), unrecorded as (
      select digest, min(size) as size from pending
      where not exists (select from manifests where manifests.digest = pending.digest)
      group by digest
      union all
      select reference.digest, min(reference.size) from pending
      join manifest_references reference
        on reference.repository_id = pending.repository_id and manifest_digest = pending.digest
      where kind <> 'manifest' and not exists (
        select from manifest_references other
        join manifests on manifests.repository_id = other.repository_id and manifests.digest = other.manifest_digest
        where other.digest = reference.digest and other.kind <> 'manifest'
      )
      group by reference.digest
    )
    select coalesce(sum(size), 0)::text as bytes from unrecorded`.execute(db)
  return BigInt(rows[0]?.bytes ?? 0)
}
