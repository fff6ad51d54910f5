import type { Database } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import { sql } from 'kysely'
import { endGlobal } from '../index/global-scope-repository.ts'
import { beginRepositoryDeletion } from './requested-deletions-repository.ts'

/** Repositories that are being deleted: marked with the last time that a process worked on them. */
export function createDeletionsRepository(db: Database) {
  return {
    /**
     * Marks a repository as being deleted. Readers treat it as absent from then on, and it is not global any more. A
     * repository that has blobs and never had a manifest gets a row for the mark. Returns the id; undefined if the
     * index knows nothing of the repository.
     */
    async beginDeletion(name: string): Promise<string | undefined> {
      return inTransaction(db, async (tx) => {
        const { rows } = await sql<{ id: string }>`
          insert into all_repositories (name, deleting_since)
          select ${name}, now()
          where exists (select from all_repositories where name = ${name})
            or exists (select from repository_blobs where repository = ${name} and orphaned_at is null)
          on conflict (name) do update set deleting_since = now(), pending = false
          returning id`.execute(tx)
        const id = rows[0]?.id
        if (id === undefined) return undefined
        await endGlobal(tx, id)
        await beginRepositoryDeletion(tx, { id, name })
        return id
      })
    },

    /** Gives a repository that only the registry has a row, so that its deletion can be resumed. */
    async ensureRepository(name: string): Promise<void> {
      await db
        .insertInto('all_repositories')
        .values({ name })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ pending: false }))
        .execute()
    },

    /** Records that a process works on a deletion. Returns false if the deletion has ended. */
    async renewDeletion(id: string): Promise<boolean> {
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
  }
}
