import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import { isDue } from '../reconcile/background-failures.ts'
import { endGlobal } from '../index/global-scope-repository.ts'

/** How long nobody may have worked on a deletion until somebody else goes on with it, in seconds. */
const DELETION_SECONDS = 120

/** Repositories on their way out: marked, and worked on by somebody, or by nobody any more. */
export function createDeletions(db: Database) {
  return {
    /**
     * Marks a repository as being deleted; from then on it does not exist for anybody, and is not global. One that
     * has blobs but never had a manifest gets a row for that. Returns its id; undefined if nothing is known of it.
     */
    async beginDeletion(name: string): Promise<string | undefined> {
      return db.transaction().execute(async (tx) => {
        const { rows } = await sql<{ id: string }>`
          insert into repositories (name, deleting_since)
          select ${name}, now()
          where exists (select from repositories where name = ${name})
            or exists (select from repository_blobs where repository = ${name} and orphaned_at is null)
          on conflict (name) do update set deleting_since = now()
          returning id`.execute(tx)
        const id = rows[0]?.id
        if (id !== undefined) await endGlobal(tx, id)
        return id
      })
    },

    /** Gives a repository that the registry has and the index has not a row, by which its deletion is resumed. */
    async nameRepository(name: string): Promise<void> {
      await db
        .insertInto('repositories')
        .values({ name })
        .onConflict((conflict) => conflict.doNothing())
        .execute()
    },

    /** Whether a repository is being deleted still; and that somebody is at it. */
    async goOnDeleting(id: string): Promise<boolean> {
      const { numUpdatedRows } = await db
        .updateTable('repositories')
        .set({ deleting_since: sql`now()` })
        .where('id', '=', id)
        .where('deleting_since', 'is not', null)
        .executeTakeFirstOrThrow()
      return numUpdatedRows === 1n
    },

    async isBeingDeleted(name: string): Promise<boolean> {
      const row = await db
        .selectFrom('repositories')
        .select('id')
        .where('name', '=', name)
        .where('deleting_since', 'is not', null)
        .executeTakeFirst()
      return row !== undefined
    },

    /** Takes over a deletion that no process works on any more; one that failed, not before its next try is due. */
    async takeDeletion(): Promise<{ id: string; name: string } | undefined> {
      const oldest = db
        .selectFrom('repositories')
        .select('id')
        .where('deleting_since', '<', sql<Date>`now() - make_interval(secs => ${sql.lit(DELETION_SECONDS)})`)
        .where(isDue('deletion', 'repositories.id'))
        .orderBy('deleting_since')
        .limit(1)
        .forUpdate()
        .skipLocked()
      return db
        .updateTable('repositories')
        .set({ deleting_since: sql`now()` })
        .where('id', '=', oldest)
        .returning(['id', 'name'])
        .executeTakeFirst()
    },
  }
}
