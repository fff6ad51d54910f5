import type { Database } from '@registry-manager/database'

/** Queries of the ids of signing keys that were in use. */
export function createSigningKeysRepository(db: Database) {
  return {
    async isAnyKnown(): Promise<boolean> {
      return (await db.selectFrom('signing_keys').select('id').limit(1).executeTakeFirst()) !== undefined
    },

    /** Returns whether the id was new: of several replicas, for one only. */
    async insertNew(id: string): Promise<boolean> {
      const inserted = await db
        .insertInto('signing_keys')
        .values({ id })
        .onConflict((conflict) => conflict.column('id').doNothing())
        .returning('id')
        .executeTakeFirst()
      return inserted !== undefined
    },
  }
}
