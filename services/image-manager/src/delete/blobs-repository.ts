import type { Database } from '@registry-manager/database'
import { anyOf, secondsInterval } from '@registry-manager/database'
import { sql } from 'kysely'
import type { OldOrphans } from './delete-orphans.ts'

/**
 * The blobs that were uploaded or mounted into a repository, whether or not a manifest references them. A blob becomes
 * an orphan when the manifest that referenced it is deleted: it must be deleted from the registry as well.
 */
export function createBlobsRepository(db: Database) {
  return {
    /**
     * Records that an upload or a mount of a blob was authorized. An orphan stops being one. Returns false, and records
     * nothing, while the repository is being deleted.
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

    /** Whether a repository has blobs that are not orphans. */
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
     * One page of all digests of blobs that a repository is known to have had, in byte order after a digest: uploaded,
     * mounted, or referenced by a manifest. Includes blobs that an image index references as if they were manifests
     * (the cache of BuildKit).
     */
    async listBlobs(repository: string, after: string, limit: number): Promise<string[]> {
      const isNext = sql`digest > ${after}`
      // In each part, so that Postgres reads no more than a page of it.
      const firstPage = sql`order by digest limit ${limit}`
      const { rows } = await sql<{ digest: string }>`
        select digest from (
          (select digest from repository_blobs where repository = ${repository} and ${isNext} ${firstPage})
          union
          (select distinct digest from manifest_references as reference
          where repository_id = (select id from repositories where name = ${repository}) and ${isNext}
            and not exists (
              select from manifests
              where manifests.repository_id = reference.repository_id and manifests.digest = reference.digest
            ) ${firstPage})
          union
          (select sha512 as digest from blob_aliases where repository = ${repository} and sha512 > ${after} ${firstPage})
        ) known ${firstPage}`.execute(db)
      return rows.map(({ digest }) => digest)
    },

    /** Claims the orphans among these digests and returns them. `claimOldOrphans` skips them for `idleSeconds`. */
    async claimOrphans(repository: string, digests: readonly string[]): Promise<string[]> {
      const rows = await db
        .updateTable('repository_blobs')
        .set({ orphaned_at: sql`now()` })
        .where('repository', '=', repository)
        .where('digest', '=', anyOf(digests))
        .where('orphaned_at', 'is not', null)
        .returning('digest')
        .execute()
      return rows.map(({ digest }) => digest)
    },

    /**
     * Claims orphans that no process works on: their last claim is more than `idleSeconds` ago. A blob's upload may be
     * in progress for `uploadSeconds` after its announcement. During that time the pause between two claims grows with
     * the time since the announcement, up to `maxPauseSeconds`.
     */
    async claimOldOrphans({
      limit,
      idleSeconds,
      announcedFraction,
      maxPauseSeconds,
      uploadSeconds,
    }: OldOrphans): Promise<{ repository: string; digest: string }[]> {
      const { rows } = await sql<{ repository: string; digest: string }>`
        update repository_blobs set orphaned_at = now()
        where (repository, digest) in (
          select repository, digest from repository_blobs
          where orphaned_at < now() - ${secondsInterval(idleSeconds)}
            and (announced_at < now() - ${secondsInterval(uploadSeconds)}
              or orphaned_at < now() - least(
                (now() - announced_at) * ${sql.lit(announcedFraction)}, ${secondsInterval(maxPauseSeconds)}))
          order by orphaned_at limit ${limit} for update skip locked
        )
        returning repository, digest`.execute(db)
      return rows
    },

    /** Marks blobs as orphans before their deletion. An announcement of the same blob takes the mark away. */
    async markOrphans(repository: string, digests: readonly string[]): Promise<void> {
      await db
        .updateTable('repository_blobs')
        .set({ orphaned_at: sql`now()` })
        .where('repository', '=', repository)
        .where('digest', '=', anyOf(digests))
        .execute()
    },

    async unmarkOrphans(repository: string, digests: readonly string[]): Promise<void> {
      await db
        .updateTable('repository_blobs')
        .set({ orphaned_at: null })
        .where('repository', '=', repository)
        .where('digest', '=', anyOf(digests))
        .execute()
    },

    /**
     * Deletes the rows of orphans that the registry does not have. Those that were announced within `uploadSeconds`
     * stay orphans, because their upload may still end.
     */
    async dropMissingOrphans(
      repository: string,
      digests: readonly string[],
      uploadSeconds: number,
    ): Promise<void> {
      const isRecent = sql`announced_at > now() - make_interval(secs => ${sql.lit(uploadSeconds)})`
      await sql`
        with recent as (
          update repository_blobs set orphaned_at = now()
          where repository = ${repository} and digest = ${anyOf(digests)} and orphaned_at is not null
            and ${isRecent}
        )
        delete from repository_blobs
        where repository = ${repository} and digest = ${anyOf(digests)} and orphaned_at is not null
          and not (${isRecent})`.execute(db)
    },
  }
}
