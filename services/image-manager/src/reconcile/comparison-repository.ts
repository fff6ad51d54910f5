import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { PageRequest } from '../index/repository.ts'

/** The parts of the index that reconcile compares with the registry. Lists come in pages, in byte order. */
export function createComparisonRepository(db: Database) {
  const idOf = (repository: string) =>
    db.selectFrom('repositories').select('id').where('name', '=', repository)

  return {
    /** Whether the index has a repository, even if it is being deleted. */
    async hasRepository(name: string): Promise<boolean> {
      return (await idOf(name).executeTakeFirst()) !== undefined
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

    async markReconciled(repository: string): Promise<void> {
      await db
        .updateTable('repositories')
        .set({ reconciled_at: sql`now()` })
        .where('name', '=', repository)
        .execute()
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
