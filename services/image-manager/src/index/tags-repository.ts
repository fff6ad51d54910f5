import type { Database } from '@registry-manager/database'
import { isForeignKeyViolation } from '@registry-manager/database'
import type { NewEvent } from '@registry-manager/events'
import { sql } from 'kysely'
import { recordEventsIn } from '../events-repository.ts'
import type { PageRequest } from './repository.ts'

/** The tags of the index. A tag is changed by compare-and-set on its revision. */
export function createTagsRepository(db: Database) {
  const findId = async (name: string) =>
    (await db.selectFrom('repositories').select('id').where('name', '=', name).executeTakeFirst())?.id

  return {
    /**
     * The digest and the revision of a tag (revision 0 if the tag does not exist), and whether its manifest is
     * index-only. Read this before the registry, so that a change in between shows in the revision.
     */
    async findTag(
      repository: string,
      tag: string,
    ): Promise<{ digest: string | undefined; revision: number; indexOnly: boolean }> {
      const row = await db
        .selectFrom('tags')
        .innerJoin('repositories', 'repositories.id', 'tags.repository_id')
        .innerJoin('manifests', (join) =>
          join
            .onRef('manifests.repository_id', '=', 'tags.repository_id')
            .onRef('manifests.digest', '=', 'tags.digest'),
        )
        .select(['tags.digest', 'tags.revision', 'manifests.kept as indexOnly'])
        .where('repositories.name', '=', repository)
        .where('tags.name', '=', tag)
        .executeTakeFirst()
      return row ?? { digest: undefined, revision: 0, indexOnly: false }
    },

    /**
     * Points a tag at a digest, or removes the tag, if the tag is still at that revision and the manifest still exists.
     * Records the events of that change with it. Returns whether the tag is now as requested.
     */
    async setTag(
      repository: string,
      tag: string,
      digest: string | undefined,
      revision: number,
      events: readonly NewEvent[] = [],
    ): Promise<boolean> {
      const repositoryId = await findId(repository)
      if (repositoryId === undefined) return digest === undefined
      if (events.length === 0) return changeTag(db, { repositoryId, tag, digest, revision })
      return db.transaction().execute(async (tx) => {
        const isSet = await changeTag(tx, { repositoryId, tag, digest, revision })
        if (isSet) await recordEventsIn(tx)(...events)
        return isSet
      })
    },

    /** The names of the tags that point at a manifest. */
    async listTagsOf(repository: string, digest: string): Promise<string[]> {
      const rows = await db
        .selectFrom('tags')
        .innerJoin('repositories', 'repositories.id', 'tags.repository_id')
        .select('tags.name')
        .where('repositories.name', '=', repository)
        .where('digest', '=', digest)
        .execute()
      return rows.map(({ name }) => name)
    },

    async listTags(repositoryId: string, { limit, after }: PageRequest): Promise<string[]> {
      const rows = await db
        .selectFrom('tags')
        .select('name')
        .where('repository_id', '=', repositoryId)
        .where('name', '>', after)
        .orderBy('name')
        .limit(limit)
        .execute()
      return rows.map(({ name }) => name)
    },
  }
}

interface TagChange {
  readonly repositoryId: string
  readonly tag: string
  readonly digest: string | undefined
  readonly revision: number
}

async function changeTag(db: Database, { repositoryId, tag, digest, revision }: TagChange): Promise<boolean> {
  if (revision === 0) {
    if (digest === undefined) return true
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('tags')
      .values({ repository_id: repositoryId, name: tag, digest })
      .onConflict((conflict) => conflict.columns(['repository_id', 'name']).doNothing())
      .executeTakeFirstOrThrow()
      .catch(unlessManifestIsGone({ numInsertedOrUpdatedRows: 0n }))
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
    .catch(unlessManifestIsGone({ numUpdatedRows: 0n }))
  return numUpdatedRows === 1n
}

/** Handles a failed foreign key (the manifest was deleted) as a change of no row. */
function unlessManifestIsGone<Value>(value: Value): (error: unknown) => Value {
  return (error) => {
    if (isForeignKeyViolation(error)) return value
    throw error
  }
}
