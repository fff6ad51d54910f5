import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { RepositoryScope, Visibility } from '../domain/visibility.ts'
import { listByPatterns } from './pattern-queries.ts'

export interface RepositoryRow {
  readonly id: string
  readonly name: string
  readonly scope: RepositoryScope
}

export interface PageOptions {
  /** How many at the most. */
  readonly limit: number
  /** The name after which the page begins. */
  readonly after: string
  /** Only names that hold this text. */
  readonly search?: string
  /** Only names below this namespace. */
  readonly namespace?: string
}

export interface ReferrerRow {
  readonly digest: string
  readonly mediaType: string
  readonly artifactType: string | null
  readonly annotations: Record<string, string> | null
  readonly size: number
}

export type IndexQueries = ReturnType<typeof createIndexQueries>

/** Reads of the index. Lists come in keyset pages in byte order, each a query of its own. */
export function createIndexQueries(db: Database) {
  return {
    /** One page of the repositories that somebody may see. */
    async listRepositories(visibility: Visibility, page: PageOptions): Promise<RepositoryRow[]> {
      const { limit, after, search = '', namespace } = page
      const like = `%${search.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`
      const below =
        namespace === undefined ? sql`true` : sql`name > ${`${namespace}/`} and name < ${`${namespace}0`}`
      const filter = sql`deleting_since is null and name like ${like} and ${below}`
      if (visibility.kind === 'all') {
        const { rows } = await sql<RepositoryRow>`
          select id, name, scope from repositories
          where name > ${after} and ${filter} order by name limit ${limit}`.execute(db)
        return rows
      }
      if (visibility.kind === 'patterns') return listByPatterns(db, visibility.patterns, page, filter)
      // Each namespace is a range of the index on names ('0' comes after '/'), read no further than the page.
      const { rows } = await sql<RepositoryRow>`
        select distinct id, name, scope from (
          select found.* from unnest(${sql.val([...visibility.namespaces])}::text[]) as namespace
          cross join lateral (
            select id, name, scope from repositories
            where name > greatest(${after} collate "C", namespace || '/')
              and name < (namespace || '0') collate "C" and ${filter}
            order by name limit ${limit}
          ) found
          union all (
            select id, name, scope from repositories
            where scope = 'global' and name > ${after} and ${filter} order by name limit ${limit}
          )
        ) visible order by name limit ${limit}`.execute(db)
      return rows
    },

    async findRepository(name: string): Promise<RepositoryRow | undefined> {
      return db
        .selectFrom('repositories')
        .select(['id', 'name', 'scope'])
        .where('name', '=', name)
        .where('deleting_since', 'is', null)
        .executeTakeFirst()
    },

    /** One whose deletion began and is not done; it is gone for everybody, and so is its scope. */
    async findBeingDeleted(name: string): Promise<RepositoryRow | undefined> {
      const row = await db
        .selectFrom('repositories')
        .select(['id', 'name'])
        .where('name', '=', name)
        .where('deleting_since', 'is not', null)
        .executeTakeFirst()
      return row && { ...row, scope: 'namespace' }
    },

    /** Those of the names that are global. */
    async findGlobal(names: readonly string[]): Promise<string[]> {
      const rows = await db
        .selectFrom('repositories')
        .select('name')
        .where('name', 'in', [...names])
        .where('scope', '=', 'global')
        .where('deleting_since', 'is', null)
        .execute()
      return rows.map(({ name }) => name)
    },

    async listTags(repositoryId: string, { limit, after }: PageOptions): Promise<string[]> {
      const rows = await db
        .selectFrom('tags')
        .select('name')
        .where('repository_id', '=', repositoryId)
        .where('name', '>', after)
        .orderBy('name')
        .limit(limit)
        .execute()
      return rows.map(({ name }) => name)
    },

    /** The tags of some repositories with their manifests as they were pushed, by repository and name. */
    async listTaggedManifests(repositoryIds: readonly string[]) {
      return db
        .selectFrom('tags')
        .innerJoin('manifests', (join) =>
          join
            .onRef('manifests.repository_id', '=', 'tags.repository_id')
            .onRef('manifests.digest', '=', 'tags.digest'),
        )
        .select(['tags.repository_id as repositoryId', 'tags.name', 'manifests.raw'])
        .where('tags.repository_id', 'in', [...repositoryIds])
        .orderBy('tags.repository_id')
        .orderBy('tags.name')
        .execute()
    },

    /** Manifests whose subject is a digest. */
    async listReferrers(repositoryId: string, subject: string): Promise<ReferrerRow[]> {
      return db
        .selectFrom('manifests')
        .select([
          'digest',
          'media_type as mediaType',
          'artifact_type as artifactType',
          'annotations',
          sql<number>`length(raw)`.as('size'),
        ])
        .where('repository_id', '=', repositoryId)
        .where('subject', '=', subject)
        .orderBy('pushed_at')
        .orderBy('digest')
        .execute()
    },

    /** A tag's manifest, as it was pushed. */
    async findTagged(
      repositoryId: string,
      tag: string,
    ): Promise<{ digest: string; raw: Buffer } | undefined> {
      return db
        .selectFrom('tags')
        .innerJoin('manifests', (join) =>
          join
            .onRef('manifests.repository_id', '=', 'tags.repository_id')
            .onRef('manifests.digest', '=', 'tags.digest'),
        )
        .select(['manifests.digest', 'manifests.raw'])
        .where('tags.repository_id', '=', repositoryId)
        .where('tags.name', '=', tag)
        .executeTakeFirst()
    },
  }
}
