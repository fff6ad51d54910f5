import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { RepositoryScope } from './visibility.ts'
import { createPendingPushes } from '../push/pending-pushes-repository.ts'
import { createBlobAliases } from './blob-aliases.ts'
import { createDeletions } from '../delete/deletions-repository.ts'
import { createManifestChanges } from './manifest-changes.ts'
import { createManifestRevisions } from './manifest-revisions.ts'
import { createSizeChanges } from './size-changes.ts'
import { endGlobal } from './global-scope.ts'
import { createPendingRemovals } from '../delete/pending-removals.ts'
import { createRepositoryBlobs } from '../delete/repository-blobs.ts'
import { createTagChanges } from './tag-changes.ts'

/**
 * Why a manifest is removed from the index: the registry lost it, a client deleted it, or its push is undone because the
 * repository was deleted.
 */
export type ManifestEnd = 'lost' | 'deleted' | 'undone'

export type IndexChanges = ReturnType<typeof createIndexChanges>

/** Writes to the index. Each is one statement or one transaction, and safe to repeat. */
export function createIndexChanges(db: Database) {
  return {
    ...createPendingPushes(db),
    ...createBlobAliases(db),
    ...createDeletions(db),
    ...createManifestChanges(db),
    ...createManifestRevisions(db),
    ...createSizeChanges(db),
    ...createPendingRemovals(db),
    ...createRepositoryBlobs(db),
    ...createTagChanges(db),

    async hasManifest(repository: string, digest: string): Promise<boolean> {
      const row = await db
        .selectFrom('manifests')
        .innerJoin('repositories', 'repositories.id', 'manifests.repository_id')
        .select('digest')
        .where('repositories.name', '=', repository)
        .where((eb) => eb.or([eb('digest', '=', digest), eb('sha512', '=', digest)]))
        .executeTakeFirst()
      return row !== undefined
    },

    /** Those of the digests, of either kind, that are a manifest's of a repository. */
    async filterManifests(repository: string, digests: readonly string[]): Promise<ReadonlySet<string>> {
      const { rows } = await sql<{ digest: string }>`
        select wanted.digest from unnest(${sql.val([...digests])}::text[]) as wanted (digest)
        where exists (
          select from manifests join repositories on repositories.id = repository_id
          where name = ${repository} and (manifests.digest = wanted.digest or sha512 = wanted.digest))`.execute(
        db,
      )
      return new Set(rows.map(({ digest }) => digest))
    },

    /**
     * Removes a manifest with its tags, if nobody recorded it again since it was at that revision. What it named stays
     * known among the repository's blobs, as orphans unless the manifest was only lost. A repository that loses its
     * last manifest is private again. It is removed as well, unless a client deleted that manifest or an earlier last
     * one. Returns whether the manifest was removed.
     */
    async removeManifest(
      repository: string,
      digest: string,
      revision: number,
      reason: ManifestEnd = 'lost',
    ): Promise<boolean> {
      return db.transaction().execute(async (tx) => {
        // Locked first: a push that is being written down just now must be seen by the last statement.
        const row = await tx
          .selectFrom('repositories')
          .select('id')
          .where('name', '=', repository)
          .where('deleting_since', 'is', null)
          .forUpdate()
          .executeTakeFirst()
        if (row === undefined) return false
        await rememberBlobs(tx, { id: row.id, name: repository }, digest, reason !== 'lost')
        const { numDeletedRows } = await tx
          .deleteFrom('manifests')
          .where('repository_id', '=', row.id)
          .where('digest', '=', digest)
          .where('revision', '=', revision)
          .executeTakeFirstOrThrow()
        if (numDeletedRows === 0n) return false
        const left = tx.selectFrom('manifests').select('digest').where('repository_id', '=', row.id)
        if ((await left.limit(1).executeTakeFirst()) !== undefined) return true
        await endGlobal(tx, row.id)
        if (reason === 'deleted')
          await tx.updateTable('repositories').set({ keep_empty: true }).where('id', '=', row.id).execute()
        await tx.deleteFrom('repositories').where('id', '=', row.id).where('keep_empty', '=', false).execute()
        return true
      })
    },

    async setScope(repositoryId: string, scope: RepositoryScope): Promise<void> {
      if (scope === 'namespace') await endGlobal(db, repositoryId)
      await db
        .updateTable('repositories')
        .set({ scope, updated_at: new Date() })
        .where('id', '=', repositoryId)
        .execute()
    },

    /** The manifests of a repository, as far as the index knows. */
    async listManifests(name: string) {
      return db
        .selectFrom('manifests')
        .innerJoin('repositories', 'repositories.id', 'manifests.repository_id')
        .select(['digest', 'media_type as mediaType', 'revision'])
        .where('repositories.name', '=', name)
        .execute()
    },

    /**
     * Takes a repository away at its deletion's end, if nothing is in it but what was deleted, at the revisions that
     * it had: a push may have been written down meanwhile. Not one that was pushed anew since another call ended it.
     * False when there is more to delete.
     */
    async removeRepository(name: string, deleted: ReadonlyMap<string, number>): Promise<boolean> {
      return db.transaction().execute(async (tx) => {
        const row = await tx
          .selectFrom('repositories')
          .select('id')
          .where('name', '=', name)
          .where('deleting_since', 'is not', null)
          .forUpdate()
          .executeTakeFirst()
        if (row === undefined) return true
        const left = await tx
          .selectFrom('manifests')
          .select(['digest', 'revision'])
          .where('repository_id', '=', row.id)
          .execute()
        if (left.some(({ digest, revision }) => deleted.get(digest) !== revision)) return false
        await tx.deleteFrom('repositories').where('id', '=', row.id).execute()
        return true
      })
    },
  }
}

/**
 * Keeps what a manifest names among the blobs of its repository, before the manifest is forgotten; as orphans, if they
 * are to be deleted. Not what is a manifest itself.
 */
async function rememberBlobs(
  tx: Database,
  repository: { readonly id: string; readonly name: string },
  manifest: string,
  orphaned: boolean,
): Promise<void> {
  const orphanedAt = orphaned ? sql`now()` : sql`null::timestamptz`
  await sql`
    insert into repository_blobs (repository, digest, announced_at, orphaned_at)
    select distinct ${repository.name}, digest, timestamptz 'epoch', ${orphanedAt}
    from manifest_references as reference
    where repository_id = ${repository.id} and manifest_digest = ${manifest}
      and not exists (
        select from manifests
        where manifests.repository_id = reference.repository_id and manifests.digest = reference.digest
      )
    on conflict (repository, digest) do update
      set orphaned_at = coalesce(excluded.orphaned_at, repository_blobs.orphaned_at)`.execute(tx)
}
