import type { Database } from '@registry-manager/database'
import { isForeignKeyViolation } from '@registry-manager/database'
import { sql } from 'kysely'
import type { Manifest } from '../domain/manifest.ts'
import type { RepositoryScope } from '../domain/visibility.ts'
import { createAdmissions } from './admissions.ts'
import { createDeletions } from './deletions.ts'
import { createManifestRevisions } from './manifest-revisions.ts'

export type IndexChanges = ReturnType<typeof createIndexChanges>

/** Writes to the index. Each is one statement or one transaction, and safe to repeat. */
export function createIndexChanges(db: Database) {
  const findId = async (name: string) =>
    (await db.selectFrom('repositories').select('id').where('name', '=', name).executeTakeFirst())?.id

  return {
    ...createAdmissions(db),
    ...createDeletions(db),
    ...createManifestRevisions(db),

    /** Writes down a manifest, and its repository where it is the first. Answers the repository's id. */
    async putManifest(repository: string, manifest: Manifest): Promise<string> {
      return db.transaction().execute(async (tx) => {
        const { id } = await tx
          .insertInto('repositories')
          .values({ name: repository })
          .onConflict((conflict) => conflict.column('name').doUpdateSet({ updated_at: new Date() }))
          .returning('id')
          .executeTakeFirstOrThrow()
        const { digest, mediaType, artifactType, subject, annotations, references, raw } = manifest
        await tx
          .insertInto('manifests')
          .values({
            repository_id: id,
            digest,
            media_type: mediaType,
            artifact_type: artifactType ?? null,
            subject: subject ?? null,
            annotations: annotations === undefined ? null : JSON.stringify(annotations),
            raw,
          })
          .onConflict((conflict) =>
            conflict
              .columns(['repository_id', 'digest'])
              .doUpdateSet({ revision: sql`nextval('tag_revisions')` }),
          )
          .execute()
        if (references.length > 0) {
          const rows = references.map((one) => ({ repository_id: id, manifest_digest: digest, ...one }))
          await tx
            .insertInto('manifest_references')
            .values(rows)
            .onConflict((conflict) => conflict.doNothing())
            .execute()
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
        .where('digest', '=', digest)
        .executeTakeFirst()
      return row !== undefined
    },

    /** What a tag names, and its revision; 0 where there is none. To be read before the registry is asked. */
    async findTag(
      repository: string,
      tag: string,
    ): Promise<{ digest: string | undefined; revision: number }> {
      const row = await db
        .selectFrom('tags')
        .innerJoin('repositories', 'repositories.id', 'tags.repository_id')
        .select(['digest', 'revision'])
        .where('repositories.name', '=', repository)
        .where('tags.name', '=', tag)
        .executeTakeFirst()
      return row ?? { digest: undefined, revision: 0 }
    },

    /**
     * Points a tag at a digest, or takes it away, if nobody changed it since it was at that revision, and the
     * manifest is there still. Answers whether it did.
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
          .catch(unlessGone({ numInsertedOrUpdatedRows: 0n }))
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
        .catch(unlessGone({ numUpdatedRows: 0n }))
      return numUpdatedRows === 1n
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
        .distinct()
        .where('repositories.name', '=', name)
        .where('kind', '!=', 'manifest')
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

function unlessGone<Value>(value: Value): (error: unknown) => Value {
  return (error) => {
    if (isForeignKeyViolation(error)) return value
    throw error
  }
}
