import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'

/** The names of blobs that were pushed by a sha512 digest: the registry stores each under its sha256 as well. */
export function createBlobAliases(db: Database) {
  return {
    async aliasBlob(repository: string, sha512: string, sha256: string): Promise<void> {
      await db
        .insertInto('blob_aliases')
        .values({ repository, sha512, sha256 })
        .onConflict((conflict) => conflict.doNothing())
        .execute()
    },

    /** Every name of a blob that is known, besides the one given: its sha256 and other sha512s of that. */
    async blobAliases(repository: string, digest: string): Promise<string[]> {
      const rows = await db
        .selectFrom('blob_aliases')
        .select(['sha512', 'sha256'])
        .where('repository', '=', repository)
        .where((eb) => eb.or([eb('sha512', '=', digest), eb('sha256', '=', digest)]))
        .execute()
      return rows.flatMap(({ sha512, sha256 }) => [sha512, sha256]).filter((name) => name !== digest)
    },

    /** The registry has a blob no more, under any of its names; but for one that was announced again since. */
    async forgetBlob(repository: string, digest: string, names: readonly string[]): Promise<void> {
      await db
        .deleteFrom('repository_blobs')
        .where('repository', '=', repository)
        .where('digest', '=', sql<string>`any(${sql.val([...names])}::text[])`)
        .where('orphaned_at', 'is not', null)
        .execute()
      await db
        .deleteFrom('blob_aliases')
        .where('repository', '=', repository)
        .where((eb) => eb.or([eb('sha512', '=', digest), eb('sha256', '=', digest)]))
        .execute()
    },
  }
}
