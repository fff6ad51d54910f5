import type { Database, Schema } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import type { Transaction } from 'kysely'
import { sql } from 'kysely'
import { endGlobal } from '../index/global-scope-repository.ts'
import { beginRepositoryTrash } from '../trash/trash-entries-repository.ts'
import { beginRepositoryDeletion } from './requested-deletions-repository.ts'

/** Repositories that are being deleted: marked with the last time that a process worked on them. */
export function createDeletionsRepository(db: Database) {
  return {
    /**
     * Marks a repository as being deleted. Readers treat it as absent from then on, and it is not global any more. A
     * repository that has blobs and never had a manifest gets a row for the mark. Returns the id; undefined if the
     * index knows nothing of the repository. Unless the repository is marked already, `protect` is called for its tags
     * and for those of pending pushes. If it returns a tag, nothing is marked. With `trashDays`, the deletion moves
     * the content to the trash.
     */
    async beginDeletion<Protection>(
      name: string,
      {
        protect,
        trashDays = 0,
      }: {
        readonly protect?: ((tag: string) => Protection | undefined) | undefined
        readonly trashDays?: number
      } = {},
    ): Promise<{ readonly id: string } | { readonly protectedTag: Protection } | undefined> {
      const work = async (tx: Transaction<Schema>) => {
        const before = protect && (await lockRepository(tx, name))
        const { rows } = await sql<{ id: string }>`
          insert into all_repositories (name, deleting_since)
          select ${name}, now()
          where exists (select from all_repositories where name = ${name})
            or exists (select from repository_blobs where repository = ${name} and orphaned_at is null)
          on conflict (name) do update set deleting_since = now(), pending = false
          returning id`.execute(tx)
        const id = rows[0]?.id
        if (id === undefined) return undefined
        if (protect !== undefined && before?.deleting_since == null) {
          // Waits for pushes that are being announced. Those that follow find the mark.
          await lockRepository(tx, name)
          for await (const tag of tagsOf(tx, { id, name })) {
            const protectedTag = protect(tag)
            if (protectedTag !== undefined) throw new Refused(protectedTag)
          }
        }
        await endGlobal(tx, id)
        await beginRepositoryDeletion(tx, { id, name })
        if (trashDays > 0) await beginRepositoryTrash(tx, { id, name }, trashDays)
        return { id }
      }
      try {
        return await inTransaction(db, work)
      } catch (error) {
        if (error instanceof Refused) return { protectedTag: error.reason as Protection }
        throw error
      }
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

/** Rolls the transaction of a deletion back. */
class Refused extends Error {
  readonly reason: unknown

  constructor(reason: unknown) {
    super('the deletion is refused')
    this.reason = reason
  }
}

/** Locks the row of a repository. Waits for running announcements of pushes; later ones wait for the lock. */
async function lockRepository(tx: Transaction<Schema>, name: string) {
  return tx
    .selectFrom('all_repositories')
    .select('deleting_since')
    .where('name', '=', name)
    .forUpdate()
    .executeTakeFirst()
}

/** Number of tag names that are read at once. */
const PAGE_SIZE = 1000

/** The tags of a repository, and those that pending pushes set. */
async function* tagsOf(
  tx: Transaction<Schema>,
  { id, name }: { readonly id: string; readonly name: string },
): AsyncIterable<string> {
  const { rows: pending } = await sql<{ tag: string }>`
    select distinct tag from pending_pushes where repository = ${name} and tag is not null`.execute(tx)
  for (const { tag } of pending) yield tag
  for (let after: string | undefined = ''; after !== undefined;) {
    const page: { name: string }[] = await tx
      .selectFrom('tags')
      .select('name')
      .where('repository_id', '=', id)
      .where('name', '>', after)
      .orderBy('name')
      .limit(PAGE_SIZE)
      .execute()
    for (const tag of page) yield tag.name
    after = page.length < PAGE_SIZE ? undefined : page.at(-1)?.name
  }
}
