import type { Database } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import { sql } from 'kysely'
import { recordEventsIn } from '../events-repository.ts'
import { keepRepositoryTrash } from '../trash/trash-entries-repository.ts'
import { endRepositoryDeletion } from '../delete/requested-deletions-repository.ts'
import { endGlobal } from './global-scope-repository.ts'
import type { Repository, RepositoryScope } from './repository.ts'

/**
 * The rows of repositories, without those that have only pending manifests. A repository that is being deleted keeps
 * its row until nothing of it is left.
 */
export function createRepositoriesRepository(db: Database) {
  return {
    async findRepository(name: string): Promise<Repository | undefined> {
      return db
        .selectFrom('repositories')
        .select(['id', 'name', 'scope'])
        .where('name', '=', name)
        .where('deleting_since', 'is', null)
        .executeTakeFirst()
    },

    /** A repository that is being deleted. It counts as private. */
    async findBeingDeleted(name: string): Promise<Repository | undefined> {
      const row = await db
        .selectFrom('repositories')
        .select(['id', 'name'])
        .where('name', '=', name)
        .where('deleting_since', 'is not', null)
        .executeTakeFirst()
      return row && { ...row, scope: 'namespace' }
    },

    /** Whether a repository was created after a time: an earlier one of the same name may have been deleted since. */
    async isNewSince(repository: string, time: Date): Promise<boolean> {
      const row = await db
        .selectFrom('repositories')
        .select('id')
        .where('name', '=', repository)
        .where('created_at', '>', time)
        .executeTakeFirst()
      return row !== undefined
    },

    /** Sets the scope, and records the event if that changes it. Does nothing if there is no such repository. */
    async setScope(repositoryId: string, scope: RepositoryScope): Promise<void> {
      await inTransaction(db, async (tx) => {
        const before = await tx
          .selectFrom('repositories')
          .select(['name as repository', 'scope'])
          .where('id', '=', repositoryId)
          .forUpdate()
          .executeTakeFirst()
        if (before === undefined) return
        const { repository, scope: from } = before
        if (scope === 'namespace') await endGlobal(tx, repositoryId)
        await tx
          .updateTable('repositories')
          .set({ scope, updated_at: new Date() })
          .where('id', '=', repositoryId)
          .execute()
        if (from === scope) return
        const target = { kind: 'repository', repository } as const
        await recordEventsIn(tx)({ action: 'repository.scope', target, detail: { from, to: scope } })
      })
    },

    /**
     * Removes the row of a repository at the end of its deletion, and records the event of the deletion. The event
     * names the principal that first requested the deletion, even if another process finishes it. Returns false and
     * removes nothing if the repository has a manifest: a push recorded it in the meantime.
     * The entry of the trash that the deletion has filled is listed from then on.
     * Returns true without a change if the row is gone, or belongs to a new repository of that name.
     */
    async removeRepository(name: string): Promise<boolean> {
      return inTransaction(db, async (tx) => {
        // Raised before the index is read: reconcile verifies content that it has read from the registry before this
        // and adopts now.
        await sql`select nextval('registry_deletions')`.execute(tx)
        const row = await tx
          .selectFrom('repositories')
          .select('id')
          .where('name', '=', name)
          .where('deleting_since', 'is not', null)
          .forUpdate()
          .executeTakeFirst()
        if (row === undefined) return true
        const left = tx.selectFrom('manifests').select('digest').where('repository_id', '=', row.id)
        if ((await left.limit(1).executeTakeFirst()) !== undefined) return false
        await tx.deleteFrom('repositories').where('id', '=', row.id).execute()
        await keepRepositoryTrash(tx, row.id)
        const { context, manifests } = await endRepositoryDeletion(tx, row.id)
        await recordEventsIn(tx)({
          action: 'repository.delete',
          target: { kind: 'repository', repository: name },
          detail: { manifests },
          context,
        })
        return true
      })
    },
  }
}
