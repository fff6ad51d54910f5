import type { Database } from '@registry-manager/database'
import { anyOf } from '@registry-manager/database'
import { sql } from 'kysely'

/** The digests that deletions remove from the registry at this moment. `removal.ts` explains the protocol. */
export function createRemovalsRepository(db: Database) {
  const isLive = (maxSeconds: number) =>
    sql<boolean>`since > now() - make_interval(secs => ${sql.lit(maxSeconds)})`

  return {
    /** Lists digests as being removed. Deletes rows that are older than `maxSeconds`. */
    async beginRemoval(
      id: string,
      repository: string,
      digests: readonly string[],
      maxSeconds: number,
    ): Promise<void> {
      await sql`
        with stale as (
          delete from pending_removals where repository = ${repository} and not ${isLive(maxSeconds)}
        )
        insert into pending_removals (removal, repository, digest)
        select ${id}::uuid, ${repository}, digest from unnest(${sql.val([...digests])}::text[]) as digest
        on conflict do nothing`.execute(db)
    },

    /** Releases a digest that no row of the index names, so that the next review decides about its data. */
    async releaseDigest(digest: string): Promise<void> {
      await db.insertInto('released_digests').values({ digest }).execute()
    },

    async endRemoval(id: string, repository: string): Promise<void> {
      await db
        .deleteFrom('pending_removals')
        .where('repository', '=', repository)
        .where('removal', '=', id)
        .execute()
    },

    /** One of the given digests that is being removed; undefined for none. */
    async findRemoval(
      repository: string,
      digests: readonly string[],
      maxSeconds: number,
    ): Promise<string | undefined> {
      const row = await db
        .selectFrom('pending_removals')
        .select('digest')
        .where('repository', '=', repository)
        .where('digest', '=', anyOf(digests))
        .where(isLive(maxSeconds))
        .limit(1)
        .executeTakeFirst()
      return row?.digest
    },
  }
}
