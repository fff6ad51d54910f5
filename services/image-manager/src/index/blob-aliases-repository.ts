import type { Database } from '@registry-manager/database'
import { anyOf } from '@registry-manager/database'
import { sql } from 'kysely'

/** The digests of blobs that were pushed by a sha512 digest. The registry stores each under its sha256 as well. */
export function createBlobAliasesRepository(db: Database) {
  return {
    async aliasBlob(repository: string, sha512: string, sha256: string): Promise<void> {
      await db
        .insertInto('blob_aliases')
        .values({ repository, sha512, sha256 })
        .onConflict((conflict) => conflict.doNothing())
        .execute()
    },

    /** All known digests of some blobs, by digest: the sha256 and every sha512 of it. */
    async aliasesOfBlobs(
      repository: string,
      digests: readonly string[],
    ): Promise<ReadonlyMap<string, readonly string[]>> {
      const { rows } = await sql<{ digest: string; names: string[] }>`
        select wanted.digest, array_agg(sha512) || array_agg(sha256) as names
        from unnest(${sql.val([...digests])}::text[]) as wanted (digest)
        join blob_aliases on repository = ${repository} and wanted.digest in (sha512, sha256)
        group by wanted.digest`.execute(db)
      return new Map(rows.map(({ digest, names }) => [digest, names]))
    },

    /**
     * Deletes the rows of blobs that the registry no longer has, given all of their digests. Keeps the row of a blob
     * that was announced again since.
     */
    async forgetBlobs(repository: string, names: readonly string[]): Promise<void> {
      const named = anyOf(names)
      await db
        .deleteFrom('repository_blobs')
        .where('repository', '=', repository)
        .where('digest', '=', named)
        .where('orphaned_at', 'is not', null)
        .execute()
      await db
        .deleteFrom('blob_aliases')
        .where('repository', '=', repository)
        .where((eb) => eb.or([eb('sha512', '=', named), eb('sha256', '=', named)]))
        .execute()
    },
  }
}
