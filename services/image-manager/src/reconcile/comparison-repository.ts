import type { Database } from '@registry-manager/database'
import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'
import { TOMBSTONE_ANNOTATION } from '../delete/tombstone.ts'
import type { PageRequest } from '../index/repository.ts'
import { DELETIONS } from './adoption-repository.ts'
import type { RepositoryState } from './reconcile-one.ts'
import type { RepositoryStates } from './reconcile-repositories.ts'

/**
 * `one`: the repositories of the given names (`wanted`), with null columns for a name that the index does not have. For
 * `name = wanted.name` or `name = any(…)`, Postgres may choose the index of trigrams, which takes milliseconds for each
 * name. It cannot be used for a range.
 */
function lookUp(names: readonly string[]): RawBuilder<unknown> {
  return sql`unnest(${sql.val([...names])}::text[]) as wanted (name) left join lateral (
    select id, deleting_since from repositories
    where repositories.name >= wanted.name and repositories.name <= wanted.name
    order by repositories.name limit 1) as one on true`
}

/** The parts of the index that reconcile compares with the registry. Lists come in pages, in byte order. */
export function createComparisonRepository(db: Database) {
  const idOf = (repository: string) =>
    db.selectFrom('repositories').select('id').where('name', '=', repository)

  return {
    /** The states of some repositories, and the number of deletions before they were read. */
    async getStates(names: readonly string[]): Promise<RepositoryStates> {
      const { rows } = await sql<RepositoryState & { name: string; deletions: string }>`
        select wanted.name, id is not null as exists, deleting_since is not null as "isBeingDeleted",
          exists (
            select from background_failures
            where repository = wanted.name and kind in ('repository', 'manifest')
          ) as "hasFailures", ${DELETIONS} as deletions
        from ${lookUp(names)}`.execute(db)
      const states = new Map(rows.map((row) => [row.name, row]))
      return { states, deletions: rows[0]?.deletions ?? '' }
    },

    /**
     * The given repositories that have manifests without a tag, or tombstones, or that lack manifests which an
     * image index references; and the number of deletions.
     */
    async findIncomplete(
      names: readonly string[],
    ): Promise<{ readonly incomplete: ReadonlySet<string>; readonly deletions: string }> {
      // Scalar subqueries: for `exists`, Postgres may read the manifests of all repositories into a hash table.
      const { rows } = await sql<{ incomplete: string[]; deletions: string }>`
        select ${DELETIONS} as deletions, array(
          select wanted.name from ${lookUp(names)}
          where coalesce((
            select true from manifests where repository_id = one.id and state = 'recorded' and not exists (
              select from tags where tags.repository_id = one.id and tags.digest = manifests.digest) limit 1
          ), (
            select true from manifests where repository_id = one.id and annotations ? ${TOMBSTONE_ANNOTATION} limit 1
          ), (
            select true from manifest_references as reference
            where repository_id = one.id and kind = 'manifest' and digest like 'sha256:%' and not exists (
              select from manifests
              where manifests.repository_id = one.id and manifests.digest = reference.digest) limit 1
          ), false)) as incomplete`.execute(db)
      return { incomplete: new Set(rows[0]?.incomplete), deletions: rows[0]?.deletions ?? '' }
    },

    async hasRepositories(): Promise<boolean> {
      return (await db.selectFrom('repositories').select('id').limit(1).executeTakeFirst()) !== undefined
    },

    async listTagNames(repository: string, { after, limit }: PageRequest): Promise<string[]> {
      const rows = await db
        .selectFrom('tags')
        .select('name')
        .where('repository_id', '=', idOf(repository))
        .where('name', '>', after)
        .orderBy('name')
        .limit(limit)
        .execute()
      return rows.map(({ name }) => name)
    },

    /** Digests that image indexes of a repository reference as manifests and that the index does not have. */
    async listMissingChildren(repository: string, { after, limit }: PageRequest): Promise<string[]> {
      const rows = await db
        .selectFrom('manifest_references as reference')
        .select('digest')
        .distinct()
        .where('repository_id', '=', idOf(repository))
        .where('kind', '=', 'manifest')
        // The registry finds no manifest by its sha512.
        .where('digest', 'like', 'sha256:%')
        .where('digest', '>', after)
        .where((eb) =>
          eb.not(
            eb.exists(
              eb
                .selectFrom('manifests')
                .select('manifests.digest')
                .whereRef('manifests.repository_id', '=', 'reference.repository_id')
                .whereRef('manifests.digest', '=', 'reference.digest'),
            ),
          ),
        )
        .orderBy('digest')
        .limit(limit)
        .execute()
      return rows.map(({ digest }) => digest)
    },

    /** The digests of manifests without a tag, except index-only manifests. */
    async listUntagged(repository: string, { after, limit }: PageRequest): Promise<string[]> {
      const rows = await db
        .selectFrom('manifests')
        .select('digest')
        .where('repository_id', '=', idOf(repository))
        .where('state', '=', 'recorded')
        .where('digest', '>', after)
        .where((eb) =>
          eb.not(
            eb.exists(
              eb
                .selectFrom('tags')
                .select('tags.name')
                .whereRef('tags.repository_id', '=', 'manifests.repository_id')
                .whereRef('tags.digest', '=', 'manifests.digest'),
            ),
          ),
        )
        .orderBy('digest')
        .limit(limit)
        .execute()
      return rows.map(({ digest }) => digest)
    },

    /** The digests of manifests that have an annotation and reference nothing. */
    async listEmptyAnnotated(repository: string, annotation: string): Promise<string[]> {
      const rows = await db
        .selectFrom('manifests')
        .select('digest')
        .where('repository_id', '=', idOf(repository))
        .where(sql<boolean>`annotations ->> ${annotation} is not null`)
        .where((eb) =>
          eb.not(
            eb.exists(
              eb
                .selectFrom('manifest_references as reference')
                .select('reference.digest')
                .whereRef('reference.repository_id', '=', 'manifests.repository_id')
                .whereRef('reference.manifest_digest', '=', 'manifests.digest'),
            ),
          ),
        )
        .execute()
      return rows.map(({ digest }) => digest)
    },

    async markReconciled(names: readonly string[]): Promise<void> {
      await sql`
        update repositories set reconciled_at = now()
        where id = any(array(select one.id from ${lookUp(names)}))`.execute(db)
    },

    /** The names of repositories that existed when a run began and that it has not reconciled yet. */
    async listUnreconciled(runId: string, { after, limit }: PageRequest): Promise<string[]> {
      const startedAt = db.selectFrom('reconciliations').select('started_at').where('id', '=', runId)
      const rows = await db
        .selectFrom('repositories')
        .select('name')
        .where('name', '>', after)
        .where('deleting_since', 'is', null)
        .where('created_at', '<', startedAt)
        .where((eb) => eb.or([eb('reconciled_at', 'is', null), eb('reconciled_at', '<', startedAt)]))
        .orderBy('name')
        .limit(limit)
        .execute()
      return rows.map(({ name }) => name)
    },
  }
}
