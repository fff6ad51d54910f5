import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { Manifest } from '../domain/manifest.ts'
import type { RepositoryScope } from '../domain/visibility.ts'
import { createAdmissions } from './admissions.ts'
import { createBlobAliases } from './blob-aliases.ts'

export type IndexChanges = ReturnType<typeof createIndexChanges>

/** Writes to the index. Each is one statement or one transaction, and safe to repeat. */
export function createIndexChanges(db: Database) {
  const findId = async (name: string) =>
    (await db.selectFrom('repositories').select('id').where('name', '=', name).executeTakeFirst())?.id

  return {
    ...createAdmissions(db),
    ...createBlobAliases(db),

    /**
     * Writes down a manifest, and its repository where it is the first; `kept` where it is here alone. Answers the
     * repository's id.
     */
    async putManifest(repository: string, manifest: Manifest, kept = false): Promise<string> {
      return db.transaction().execute(async (tx) => {
        const { id } = await tx
          .insertInto('repositories')
          .values({ name: repository })
          .onConflict((conflict) => conflict.column('name').doUpdateSet({ updated_at: new Date() }))
          .returning('id')
          .executeTakeFirstOrThrow()
        const { digest, mediaType, artifactType, subject, annotations, references, raw } = manifest
        const written = await tx
          .insertInto('manifests')
          .values({
            repository_id: id,
            digest,
            media_type: mediaType,
            artifact_type: artifactType ?? null,
            subject: subject ?? null,
            annotations: annotations === undefined ? null : JSON.stringify(annotations),
            raw,
            kept,
          })
          .onConflict((conflict) => conflict.columns(['repository_id', 'digest']).doNothing())
          .executeTakeFirst()
        if (written.numInsertedOrUpdatedRows === 1n && references.length > 0) {
          const rows = references.map((one) => ({ repository_id: id, manifest_digest: digest, ...one }))
          await tx.insertInto('manifest_references').values(rows).execute()
        }
        return id
      })
    },

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

    /**
     * The revision of a tag, 0 where there is none, and whether its manifest is one that the registry has not. To
     * be read before the registry is asked.
     */
    async findTag(repository: string, tag: string): Promise<{ revision: number; kept: boolean }> {
      const row = await db
        .selectFrom('tags')
        .innerJoin('repositories', 'repositories.id', 'tags.repository_id')
        .innerJoin('manifests', (join) =>
          join
            .onRef('manifests.repository_id', '=', 'tags.repository_id')
            .onRef('manifests.digest', '=', 'tags.digest'),
        )
        .select(['tags.revision', 'manifests.kept'])
        .where('repositories.name', '=', repository)
        .where('tags.name', '=', tag)
        .executeTakeFirst()
      return row ?? { revision: 0, kept: false }
    },

    /**
     * Points a tag at a digest, or takes it away, if nobody changed it since it was at that revision. Answers
     * whether it did.
     */
    async setTag(
      repository: string,
      tag: string,
      digest: string | undefined,
      revision: number,
    ): Promise<boolean> {
      const repositoryId = await findId(repository)
      if (repositoryId === undefined) return digest === undefined
      if (revision === 0) {
        if (digest === undefined) return true
        const { numInsertedOrUpdatedRows } = await db
          .insertInto('tags')
          .values({ repository_id: repositoryId, name: tag, digest })
          .onConflict((conflict) => conflict.columns(['repository_id', 'name']).doNothing())
          .executeTakeFirstOrThrow()
        return numInsertedOrUpdatedRows === 1n
      }
      if (digest === undefined) {
        const { numDeletedRows } = await db
          .deleteFrom('tags')
          .where('repository_id', '=', repositoryId)
          .where('name', '=', tag)
          .where('revision', '=', revision)
          .executeTakeFirstOrThrow()
        return numDeletedRows === 1n
      }
      const { numUpdatedRows } = await db
        .updateTable('tags')
        .set({ digest, revision: sql`nextval('tag_revisions')`, updated_at: new Date() })
        .where('repository_id', '=', repositoryId)
        .where('name', '=', tag)
        .where('revision', '=', revision)
        .executeTakeFirstOrThrow()
      return numUpdatedRows === 1n
    },

    /** Takes a manifest away with its tags, and the repository where it was the last. */
    async removeManifest(repository: string, digest: string): Promise<void> {
      await db.transaction().execute(async (tx) => {
        // Locked first: a push that is being written down just now must be seen by the last statement.
        const row = await tx
          .selectFrom('repositories')
          .select('id')
          .where('name', '=', repository)
          .where('deleting_since', 'is', null)
          .forUpdate()
          .executeTakeFirst()
        if (row === undefined) return
        await tx
          .deleteFrom('manifests')
          .where('repository_id', '=', row.id)
          .where('digest', '=', digest)
          .execute()
        await tx
          .deleteFrom('repositories')
          .where('id', '=', row.id)
          .where((eb) =>
            eb.not(
              eb.exists(eb.selectFrom('manifests').select('digest').where('repository_id', '=', row.id)),
            ),
          )
          .execute()
      })
    },

    async setScope(repositoryId: string, scope: RepositoryScope): Promise<void> {
      await db
        .updateTable('repositories')
        .set({ scope, updated_at: new Date() })
        .where('id', '=', repositoryId)
        .execute()
    },

    /** Marks a repository as being deleted; from then on it is gone for everybody. */
    async beginDeletion(name: string): Promise<void> {
      await db
        .updateTable('repositories')
        .set({ deleting_since: new Date() })
        .where('name', '=', name)
        .execute()
    },

    async isBeingDeleted(name: string): Promise<boolean> {
      const row = await db
        .selectFrom('repositories')
        .select('id')
        .where('name', '=', name)
        .where('deleting_since', 'is not', null)
        .executeTakeFirst()
      return row !== undefined
    },

    /** Everything of a repository that the registry holds, as far as the index knows. */
    async listContents(name: string) {
      const manifests = await db
        .selectFrom('manifests')
        .innerJoin('repositories', 'repositories.id', 'manifests.repository_id')
        .select(['digest', 'media_type as mediaType'])
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
     * Takes a repository away at its deletion's end, if nothing is in it but what was deleted: a push may have
     * been written down meanwhile. Not one that was pushed anew since another call ended it. False when there is
     * more to delete.
     */
    async removeRepository(name: string, deleted: ReadonlySet<string>): Promise<boolean> {
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
          .select('digest')
          .where('repository_id', '=', row.id)
          .execute()
        if (left.some(({ digest }) => !deleted.has(digest))) return false
        await tx.deleteFrom('repositories').where('id', '=', row.id).execute()
        return true
      })
    },
  }
}
