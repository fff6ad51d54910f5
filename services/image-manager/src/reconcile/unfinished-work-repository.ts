import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { PageRequest } from '../index/repository.ts'
import { isDue } from './failures-repository.ts'

/** Pushes and deletions that no process works on any more. */
export function createUnfinishedWorkRepository(db: Database) {
  const ago = (seconds: number) => sql<Date>`now() - make_interval(secs => ${sql.lit(seconds)})`

  return {
    /** Ids of pending pushes that are older than some seconds and whose retry is due, in the order of their ids. */
    async listUnfinishedPushes(seconds: number, { after, limit }: PageRequest): Promise<string[]> {
      const rows = await db
        .selectFrom('pending_pushes')
        .select('id')
        .where('announced_at', '<', ago(seconds))
        .where(isDue('push', 'pending_pushes.id'))
        .$if(after !== '', (query) => query.where('id', '>', after))
        .orderBy('id')
        .limit(limit)
        .execute()
      return rows.map(({ id }) => id)
    },

    /** Takes over a deletion that no process has renewed for some seconds and whose retry is due. */
    async takeDeletion(seconds: number): Promise<{ id: string; name: string } | undefined> {
      const oldest = db
        .selectFrom('repositories')
        .select('id')
        .where('deleting_since', '<', ago(seconds))
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
