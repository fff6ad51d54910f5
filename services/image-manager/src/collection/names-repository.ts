import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { BlobName } from './resolve-names.ts'

/** sha512 names of blobs without an alias: the sha256 by which the storage has their data is not known. */
export function createNamesRepository(db: Database) {
  const isSha512 = sql`digest >= 'sha512:' and digest < 'sha512;'`
  const isUnresolved = sql`not exists (select from blob_aliases where sha512 = digest)`

  return {
    /** One page after a name, in the order of digests and repositories. Manifests need no alias. */
    async listUnresolved(after: BlobName | undefined, limit: number): Promise<BlobName[]> {
      const { rows } = await sql<BlobName>`
        select digest, repository from (
          select digest, repository from repository_blobs where ${isSha512} and ${isUnresolved}
          union
          select digest, name collate "C" from manifest_references
          join all_repositories on all_repositories.id = repository_id
          where ${isSha512} and ${isUnresolved} and kind <> 'manifest'
        ) unresolved
        where (digest, repository) > (${after?.digest ?? ''}, ${after?.repository ?? ''})
        order by digest, repository limit ${limit}`.execute(db)
      return rows
    },

    /** Deletes the row of an upload that did not arrive. Keeps one that was announced within `uploadSeconds`. */
    async forgetUpload({ repository, digest }: BlobName, uploadSeconds: number): Promise<void> {
      await db
        .deleteFrom('repository_blobs')
        .where('repository', '=', repository)
        .where('digest', '=', digest)
        .where('announced_at', '<', sql<Date>`now() - make_interval(secs => ${sql.lit(uploadSeconds)})`)
        .execute()
    },
  }
}
