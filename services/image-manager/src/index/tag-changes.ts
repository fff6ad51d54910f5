import type { Database } from '@registry-manager/database'
import { isForeignKeyViolation } from '@registry-manager/database'
import { sql } from 'kysely'

/** The tags of the index, each compared and set. */
export function createTagChanges(db: Database) {
  const findId = async (name: string) =>
    (await db.selectFrom('repositories').select('id').where('name', '=', name).executeTakeFirst())?.id

  return {
    /**
     * What a tag names, its revision, 0 where there is none, and whether the manifest is one that the registry has
     * not. To be read before the registry is asked.
     */
    async findTag(
      repository: string,
      tag: string,
    ): Promise<{ digest: string | undefined; revision: number; kept: boolean }> {
      const row = await db
        .selectFrom('tags')
        .innerJoin('repositories', 'repositories.id', 'tags.repository_id')
        .innerJoin('manifests', (join) =>
          join
            .onRef('manifests.repository_id', '=', 'tags.repository_id')
            .onRef('manifests.digest', '=', 'tags.digest'),
        )
        .select(['tags.digest', 'tags.revision', 'manifests.kept'])
        .where('repositories.name', '=', repository)
        .where('tags.name', '=', tag)
        .executeTakeFirst()
      return row ?? { digest: undefined, revision: 0, kept: false }
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
  }
}

function unlessGone<Value>(value: Value): (error: unknown) => Value {
  return (error) => {
    if (isForeignKeyViolation(error)) return value
    throw error
  }
}
