import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'

/** How many names a page of blobs has at the most. */
const PAGE = 500

/** How long an upload may take from its authorization to its end, in seconds. */
const UPLOAD_SECONDS = 24 * 3600

/**
 * The blobs that were uploaded or mounted into a repository, whether or not a manifest names them. One is an orphan
 * when what named it was deleted: it is to be deleted from the registry too.
 */
export function createRepositoryBlobs(db: Database) {
  return {
    /**
     * Records that an upload or a mount of a blob was authorized. An orphan is one no longer. False while the
     * repository is being deleted; then nothing is recorded.
     */
    async announceBlob(repository: string, digest: string): Promise<boolean> {
      const { rows } = await sql`
        insert into repository_blobs (repository, digest)
        select ${repository}, ${digest}
        where not exists (
          select from repositories where name = ${repository} and deleting_since is not null
        )
        on conflict (repository, digest) do update set announced_at = now(), orphaned_at = null
        returning digest`.execute(db)
      return rows.length === 1
    },

    /** Whether blobs were uploaded into a repository and not deleted since. */
    async hasBlobs(repository: string): Promise<boolean> {
      const row = await db
        .selectFrom('repository_blobs')
        .select('digest')
        .where('repository', '=', repository)
        .where('orphaned_at', 'is', null)
        .limit(1)
        .executeTakeFirst()
      return row !== undefined
    },

    /**
     * One page of all blobs that a repository is known to have had, after a digest and in byte order: uploaded,
     * mounted, or named by a manifest, also those that an index names as if they were manifests (BuildKit's cache).
     */
    async listBlobs(repository: string, after: string): Promise<string[]> {
      const { rows } = await sql<{ digest: string }>`
        select digest from (
          select digest from repository_blobs where repository = ${repository}
          union
          select digest from manifest_references as reference
          where repository_id = (select id from repositories where name = ${repository})
            and not exists (
              select from manifests
              where manifests.repository_id = reference.repository_id and manifests.digest = reference.digest
            )
          union
          select sha512 from blob_aliases where repository = ${repository}
        ) known
        where digest > ${after} order by digest limit ${PAGE}`.execute(db)
      return rows.map(({ digest }) => digest)
    },

    /** Those of some digests that are orphans; their next turn in `claimOldOrphans` begins anew. */
    async claimOrphans(repository: string, digests: readonly string[]): Promise<string[]> {
      const rows = await db
        .updateTable('repository_blobs')
        .set({ orphaned_at: sql`now()` })
        .where('repository', '=', repository)
        .where('digest', '=', sql<string>`any(${sql.val([...digests])}::text[])`)
        .where('orphaned_at', 'is not', null)
        .returning('digest')
        .execute()
      return rows.map(({ digest }) => digest)
    },

    /**
     * Orphans that nobody is at work on: what a killed process left, and uploads that may have ended since their
     * repository was deleted. The longer ago the upload was authorized, the less often it is looked for.
     */
    async claimOldOrphans(limit: number): Promise<{ repository: string; digest: string }[]> {
      const { rows } = await sql<{ repository: string; digest: string }>`
        update repository_blobs set orphaned_at = now()
        where (repository, digest) in (
          select repository, digest from repository_blobs
          where orphaned_at < now() - interval '1 minute'
            and (announced_at < now() - make_interval(secs => ${sql.lit(UPLOAD_SECONDS)})
              or orphaned_at < now() - least((now() - announced_at) / 4, interval '1 hour'))
          order by orphaned_at limit ${limit} for update skip locked
        )
        returning repository, digest`.execute(db)
      return rows
    },

    /** Some blobs are about to be deleted, whatever names them: those that are announced again are orphans no more. */
    async orphanBlobs(repository: string, digests: readonly string[]): Promise<void> {
      await db
        .updateTable('repository_blobs')
        .set({ orphaned_at: sql`now()` })
        .where('repository', '=', repository)
        .where('digest', '=', sql<string>`any(${sql.val([...digests])}::text[])`)
        .execute()
    },

    /** Some orphans are named again: they stay, and stay known. */
    async adoptOrphans(repository: string, digests: readonly string[]): Promise<void> {
      await db
        .updateTable('repository_blobs')
        .set({ orphaned_at: null })
        .where('repository', '=', repository)
        .where('digest', '=', sql<string>`any(${sql.val([...digests])}::text[])`)
        .execute()
    },

    /**
     * The registry does not have some orphans. Their rows are removed, unless an upload may still be in progress: then
     * they stay orphans.
     */
    async missBlobs(repository: string, digests: readonly string[]): Promise<void> {
      const among = sql`any(${sql.val([...digests])}::text[])`
      const isLate = sql`announced_at > now() - make_interval(secs => ${sql.lit(UPLOAD_SECONDS)})`
      await sql`
        with late as (
          update repository_blobs set orphaned_at = now()
          where repository = ${repository} and digest = ${among} and orphaned_at is not null and ${isLate}
        )
        delete from repository_blobs
        where repository = ${repository} and digest = ${among} and orphaned_at is not null
          and not (${isLate})`.execute(db)
    },
  }
}
