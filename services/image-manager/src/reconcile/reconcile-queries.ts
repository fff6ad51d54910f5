import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import { DELETED_TAG } from '../delete/delete-upstream-tag.ts'
import { PAGE_SIZE } from './paginate.ts'
import { isDue } from './background-failures.ts'

export type ReconcileQueries = ReturnType<typeof createReconcileQueries>

/** How long a push may take until what became of it is asked, in seconds: the proxy waits 60 for the registry. */
const ADMISSION_SECONDS = 90

/** What is read of the index to compare it with the registry. Lists come in pages after a name, in byte order. */
export function createReconcileQueries(db: Database) {
  const idOf = (repository: string) =>
    db.selectFrom('repositories').select('id').where('name', '=', repository)
  const ago = (seconds: number) => sql<Date>`now() - make_interval(secs => ${sql.lit(seconds)})`

  return {
    async hasRepository(name: string): Promise<boolean> {
      return (await idOf(name).executeTakeFirst()) !== undefined
    },

    /** Whether the index holds anything at all. */
    async hasRepositories(): Promise<boolean> {
      return (await db.selectFrom('repositories').select('id').limit(1).executeTakeFirst()) !== undefined
    },

    async listTagNames(repository: string, after: string): Promise<string[]> {
      const rows = await db
        .selectFrom('tags')
        .select('name')
        .where('repository_id', '=', idOf(repository))
        .where('name', '>', after)
        .orderBy('name')
        .limit(PAGE_SIZE)
        .execute()
      return rows.map(({ name }) => name)
    },

    /** What the indexes of a repository name and the index has not got. The registry knows manifests by sha256 alone. */
    async listMissingChildren(repository: string, after: string): Promise<string[]> {
      const rows = await db
        .selectFrom('manifest_references as reference')
        .select('digest')
        .distinct()
        .where('repository_id', '=', idOf(repository))
        .where('kind', '=', 'manifest')
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
        .limit(PAGE_SIZE)
        .execute()
      return rows.map(({ digest }) => digest)
    },

    /** The manifests that no tag names, but for those that the registry never had. */
    async listUntagged(repository: string, after: string): Promise<string[]> {
      const rows = await db
        .selectFrom('manifests')
        .select('digest')
        .where('repository_id', '=', idOf(repository))
        .where('kept', '=', false)
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
        .limit(PAGE_SIZE)
        .execute()
      return rows.map(({ digest }) => digest)
    },

    /** Manifests that stood in for tags while those were deleted, and are here still: the deletions broke off. */
    async listStandIns(repository: string): Promise<string[]> {
      const rows = await db
        .selectFrom('manifests')
        .select('digest')
        .where('repository_id', '=', idOf(repository))
        .where(sql<boolean>`annotations ->> ${DELETED_TAG} is not null`)
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

    /** Repositories that were there when a run began, and that it has not reconciled. */
    async listUnreconciled(runId: string, after: string): Promise<string[]> {
      const startedAt = db.selectFrom('reconciliations').select('started_at').where('id', '=', runId)
      const rows = await db
        .selectFrom('repositories')
        .select('name')
        .where('name', '>', after)
        .where('deleting_since', 'is', null)
        .where('created_at', '<', startedAt)
        .where((eb) => eb.or([eb('reconciled_at', 'is', null), eb('reconciled_at', '<', startedAt)]))
        .orderBy('name')
        .limit(PAGE_SIZE)
        .execute()
      return rows.map(({ name }) => name)
    },

    /** Ids of the admissions that no process works on any more and that are due, after one of them. */
    async listOldAdmissions(after: string): Promise<string[]> {
      const rows = await db
        .selectFrom('admissions')
        .select('id')
        .where('admitted_at', '<', ago(ADMISSION_SECONDS))
        .where(isDue('push', 'admissions.id'))
        .$if(after !== '', (query) => query.where('id', '>', after))
        .orderBy('id')
        .limit(PAGE_SIZE)
        .execute()
      return rows.map(({ id }) => id)
    },
  }
}
