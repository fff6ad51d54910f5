import type { Database } from '@registry-manager/database'
import type { QueryResult, RawBuilder } from 'kysely'
import { sql } from 'kysely'

export interface ContentsPage {
  readonly offset: number
  readonly limit: number
  /** A field, with a minus before it for the greatest first; the first of the known ones when it is none. */
  readonly orderBy: string
}

export interface RepositoryContentsRow {
  readonly name: string
  readonly createdAt: Date
  /** When it was changed last, which is nearly always a push. */
  readonly pushedAt: Date
  readonly artifacts: number
}

export interface ArtifactRow {
  readonly repository: string
  readonly digest: string
  readonly mediaType: string
  readonly tags: string[]
  readonly pushedAt: Date
}

const REPOSITORY_ORDER = new Map([
  ['lastPush', sql.ref('updated_at')],
  ['name', sql.ref('name')],
  ['artifactCount', sql.ref('artifacts')],
])

export type ContentsQueries = ReturnType<typeof createContentsQueries>

/** What is in the registry, for those who administrate it: pages by offset, as the provider's API wants them. */
export function createContentsQueries(db: Database) {
  return {
    async listRepositories(page: ContentsPage & { search?: string; name?: string }) {
      const { offset, limit, search, name } = page
      const [, minus = '', field = ''] = /^(-?)(.*)$/.exec(page.orderBy) ?? []
      const order = REPOSITORY_ORDER.get(field) ?? sql.ref('updated_at')
      const like = `%${search?.replaceAll(/[\\%_]/g, String.raw`\$&`) ?? ''}%`
      const named = name === undefined ? sql`name like ${like}` : sql`name = ${name}`
      const filter = sql`deleting_since is null and ${named}`
      const { rows } = await sql<RepositoryContentsRow>`
        select name, created_at as "createdAt", updated_at as "pushedAt", (
            select count(*)::integer from manifests where repository_id = repositories.id
          ) as artifacts
        from repositories where ${filter}
        order by ${order} ${minus === '-' ? sql`desc` : sql`asc`}, name offset ${offset} limit ${limit}`.execute(
        db,
      )
      const counted = await sql<{ total: string }>`
        select count(*) as total from repositories where ${filter}`.execute(db)
      return { rows, total: Number(counted.rows[0]?.total) }
    },

    /** Manifests of one repository, or of all of them. */
    async listArtifacts(page: ContentsPage & { repository?: string; digest?: string }) {
      const { offset, limit, orderBy, repository, digest } = page
      const direction = orderBy.startsWith('-') ? sql`desc` : sql`asc`
      const from = sql`
        manifests join repositories on repositories.id = repository_id
        where deleting_since is null
          and ${repository === undefined ? sql`true` : sql`repositories.name = ${repository}`}
          and ${digest === undefined ? sql`true` : sql`digest = ${digest}`}`
      const { rows } = await sql<ArtifactRow>`
        select repositories.name as repository, digest, media_type as "mediaType", pushed_at as "pushedAt", array(
            select tags.name from tags
            where tags.repository_id = manifests.repository_id and tags.digest = manifests.digest order by tags.name
          )::text[] as tags
        from ${from}
        order by pushed_at ${direction}, repositories.name, digest offset ${offset} limit ${limit}`.execute(
        db,
      )
      const counted = await sql<{ total: string }>`select count(*) as total from ${from}`.execute(db)
      return { rows, total: Number(counted.rows[0]?.total) }
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
     * Bytes of all manifests, and of the configs and layers that they name: each digest once. Read in pages of an index,
     * so that no statement takes longer where there is more. What has no size, or not yet, counts as nothing.
     */
    async usage(): Promise<number> {
      const documents = await sumSizes(db, sql`manifests`, sql`true`)
      const blobs = await sumSizes(db, sql`manifest_references`, sql`kind <> 'manifest'`)
      return Number(documents + blobs)
    },
  }
}

/** How many digests are counted by one statement. */
const USAGE_PAGE = 50_000

/** The sizes in a table, each digest once: where manifests differ about it, the least. */
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
