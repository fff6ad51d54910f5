import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { RepositoryScope } from '../domain/visibility.ts'
import { createAdmissions } from './admissions.ts'
import { createBlobAliases } from './blob-aliases.ts'
import { createDeletions } from './deletions.ts'
import { createManifestChanges } from './manifest-changes.ts'
import { createManifestRevisions } from './manifest-revisions.ts'
import { createSizeChanges } from './size-changes.ts'
import { createTagChanges } from './tag-changes.ts'

export type IndexChanges = ReturnType<typeof createIndexChanges>

/** Writes to the index. Each is one statement or one transaction, and safe to repeat. */
export function createIndexChanges(db: Database) {
  return {
    ...createAdmissions(db),
    ...createBlobAliases(db),
    ...createDeletions(db),
    ...createManifestChanges(db),
    ...createManifestRevisions(db),
    ...createSizeChanges(db),
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
     * Takes a manifest away with its tags, and the repository where it was the last, if nobody wrote it down since
     * it was at that revision. Answers whether it did.
     */
    async removeManifest(repository: string, digest: string, revision: number): Promise<boolean> {
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
        const { numDeletedRows } = await tx
          .deleteFrom('manifests')
          .where('repository_id', '=', row.id)
          .where('digest', '=', digest)
          .where('revision', '=', revision)
          .executeTakeFirstOrThrow()
        if (numDeletedRows === 0n) return false
        await tx
          .deleteFrom('repositories')
          .where('id', '=', row.id)
          .where((eb) =>
            eb.not(
              eb.exists(eb.selectFrom('manifests').select('digest').where('repository_id', '=', row.id)),
            ),
          )
          .execute()
        return true
      })
    },

    async setScope(repositoryId: string, scope: RepositoryScope): Promise<void> {
      await db
        .updateTable('repositories')
        .set({ scope, updated_at: new Date() })
        .where('id', '=', repositoryId)
        .execute()
    },

    /** Everything of a repository that the registry holds, as far as the index knows. */
    async listContents(name: string) {
      const manifests = await db
        .selectFrom('manifests')
        .innerJoin('repositories', 'repositories.id', 'manifests.repository_id')
        .select(['digest', 'media_type as mediaType', 'revision'])
        .where('repositories.name', '=', name)
        .execute()
      const blobs = await db
        .selectFrom('manifest_references')
        .innerJoin('repositories', 'repositories.id', 'manifest_references.repository_id')
        .select('digest')
        .where('repositories.name', '=', name)
        .where('kind', '!=', 'manifest')
        .union(db.selectFrom('blob_aliases').select('sha512 as digest').where('repository', '=', name))
        .execute()
      return { manifests, blobs: blobs.map(({ digest }) => digest) }
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
