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

    /** The same for many blobs, by digest. */
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

    async forgetBlobs(repository: string, digests: readonly string[]): Promise<void> {
      const named = sql`any(${sql.val([...digests])}::text[])`
      await sql`
        delete from blob_aliases
        where repository = ${repository} and (sha512 = ${named} or sha256 = ${named})`.execute(db)
    },

    async forgetBlob(repository: string, digest: string): Promise<void> {
      await db
        .deleteFrom('blob_aliases')
        .where('repository', '=', repository)
        .where((eb) => eb.or([eb('sha512', '=', digest), eb('sha256', '=', digest)]))
        .execute()
    },
  }
}
