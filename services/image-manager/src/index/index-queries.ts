import type { Database } from '@registry-manager/database'
import type { Reference } from '@registry-manager/oci'
import { isNested } from '@registry-manager/oci'
import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'
import type { RepositoryScope, Visibility } from './visibility.ts'
import { outermost } from './visibility.ts'
import { createGlobalScope } from './global-scope.ts'
import { createTaggedManifests } from './tagged-manifests.ts'
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
  /** Only names that this namespace covers. */
  readonly namespace?: string
}

export interface ReferrerRow {
  readonly digest: string
  readonly mediaType: string
  readonly artifactType: string | null
  readonly annotations: Record<string, string> | null
  readonly size: number
}

export interface ReferrersQuery {
  readonly artifactType?: string
  /** The digest after which the page begins; empty for the first. */
  readonly after: string
  readonly limit: number
  readonly bytes: number
}

export interface ManifestRow {
  readonly digest: string
  readonly mediaType: string
  readonly raw: Buffer
  /** Whether it is here alone: the registry has it not. */
  readonly kept: boolean
}

export type IndexQueries = ReturnType<typeof createIndexQueries>

/** One parameter for any number of texts: a list of them may be a client's. */
function isAmong(column: RawBuilder<unknown>, texts: readonly string[]): RawBuilder<boolean> {
  return sql<boolean>`${column} = any(${sql.val([...texts])}::text[])`
}

/** Reads of the index. Lists come in keyset pages in byte order, each a query of its own. */
export function createIndexQueries(db: Database) {
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
    ...createGlobalScope(db),
    ...createTaggedManifests(db),

    /** One page of the repositories that somebody may see. */
    async listRepositories(visibility: Visibility, page: PageOptions): Promise<RepositoryRow[]> {
      const { limit, after, search, namespace } = page
      const like = search && `%${search.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`
      const filter = sql.join(
        [
          sql`deleting_since is null`,
          ...(like ? [sql`name like ${like}`] : []),
          ...(namespace === undefined ? [] : [coveredBy(namespace)]),
        ],
        sql` and `,
      )
      if (visibility.kind === 'all') {
        const { rows } = await sql<RepositoryRow>`
          select id, name, scope from repositories
          where name > ${after} and ${filter} order by name limit ${limit}`.execute(db)
        return rows
      }
      if (visibility.kind === 'patterns') return listByPatterns(db, visibility.patterns, page, filter)
      // Each namespace is a range of the index on names ('0' comes after '/'). The ranges follow each other, so
      // that the order is by range and then by name, and no range behind the end of the page is read. A namespace of
      // several components covers the repository of its own name as well, which lies outside of its range.
      const namespaces = outermost(visibility.namespaces)
      const { rows } = await sql<RepositoryRow>`
        select id, name, scope from (
          (
            select found.* from unnest(${sql.val(namespaces)}::text[])
              with ordinality as own (namespace, position)
            cross join lateral (
              select id, name, scope from repositories
              where name > greatest(${after} collate "C", namespace || '/')
                and name < (namespace || '0') collate "C" and ${filter}
              order by name limit ${limit}
            ) found
            order by own.position, found.name limit ${limit}
          )
          union
          (
            select id, name, scope from repositories
            where name = any(${sql.val(namespaces.filter(isNested))}::text[]) and name > ${after} and ${filter}
            order by name limit ${limit}
          )
          union
          (
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

    /**
     * One page of the manifests whose subject is a digest, in the order of their own digests: as many as together
     * are no longer than `bytes`, but at least one. A descriptor is no longer than its manifest, whose length is
     * known without reading it.
     */
    async listReferrers(
      repositoryId: string,
      subject: string,
      { artifactType, after, limit, bytes }: ReferrersQuery,
    ): Promise<{ rows: ReferrerRow[]; more: boolean }> {
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

    /** Those of the digests, of either kind, that are a manifest's. */
    async filterKnown(repositoryId: string, digests: readonly string[]): Promise<Set<string>> {
      if (digests.length === 0) return new Set()
      const rows = await db
        .selectFrom('manifests')
        .select(['digest', 'sha512'])
        .where('repository_id', '=', repositoryId)
        .where((eb) => eb.or([isAmong(sql.ref('digest'), digests), isAmong(sql.ref('sha512'), digests)]))
        .execute()
      const known = new Set(rows.flatMap(({ digest, sha512 }) => [digest, sha512]))
      return new Set(digests.filter((digest) => known.has(digest)))
    },

    /** What a tag or a digest names, as it was pushed. */
    async findManifest(repository: string, reference: Reference): Promise<ManifestRow | undefined> {
      return namedBy(repository, reference)
        .select(['manifests.digest', 'media_type as mediaType', 'raw', 'kept'])
        .executeTakeFirst()
    },

    /** How long it is, in bytes. */
    async measureManifest(repository: string, reference: Reference): Promise<number | undefined> {
      const row = await namedBy(repository, reference)
        .select(sql<number>`length(raw)`.as('size'))
        .executeTakeFirst()
      return row?.size
    },
  }
}

/** Source: `namespaceCovers`, in SQL that an index on names serves ('0' comes after '/'). */
function coveredBy(namespace: string) {
  const below = sql`(name > ${`${namespace}/`} and name < ${`${namespace}0`})`
  return isNested(namespace) ? sql`(name = ${namespace} or ${below})` : below
}
