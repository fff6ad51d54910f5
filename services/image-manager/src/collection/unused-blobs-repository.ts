import type { Database } from '@registry-manager/database'
import { secondsInterval } from '@registry-manager/database'
import { sql } from 'kysely'
import type { BlobName } from './resolve-names.ts'

/** Blobs that were uploaded or mounted, and that no manifest of their repository references. */
export function createUnusedBlobsRepository(db: Database) {
  return {
    /**
     * Marks the unused blobs of one page as orphans, in the order of repositories and digests. The deletion of orphans
     * looks for references again, because a manifest may be announced at the same time. Returns the last blob of a full
     * page.
     */
    async markPage(
      after: BlobName | undefined,
      { limit, unusedSeconds }: { readonly limit: number; readonly unusedSeconds: number },
    ): Promise<{ readonly marked: number; readonly last: BlobName | undefined }> {
      const { rows } = await sql<{ size: number; marked: number; repository: string; digest: string }>`
        with page as (
          select repository, digest from repository_blobs
          where (repository, digest) > (${after?.repository ?? ''}, ${after?.digest ?? ''})
          order by repository, digest limit ${limit}
        ), marked as (
          update repository_blobs as blob set orphaned_at = now()
          from page where blob.repository = page.repository and blob.digest = page.digest and orphaned_at is null
            and announced_at < now() - ${secondsInterval(unusedSeconds)}
            and not exists (
              select from manifest_references join all_repositories on all_repositories.id = repository_id
              where name = blob.repository and manifest_references.digest in (
                select blob.digest
                union select sha512 from blob_aliases
                where blob_aliases.repository = blob.repository and sha256 = blob.digest
                union select sha256 from blob_aliases
                where blob_aliases.repository = blob.repository and sha512 = blob.digest))
          returning blob.digest
        )
        select repository, digest, (select count(*) from page)::integer as size,
          (select count(*) from marked)::integer as marked
        from page order by repository desc, digest desc limit 1`.execute(db)
      const [row] = rows
      if (row === undefined) return { marked: 0, last: undefined }
      const { size, marked, repository, digest } = row
      return { marked, last: size < limit ? undefined : { repository, digest } }
    },
  }
}
