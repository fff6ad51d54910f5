import type { Database, Schema } from '@registry-manager/database'
import { anyOf, inTransaction } from '@registry-manager/database'
import type { Transaction } from 'kysely'
import { sql } from 'kysely'
import type { PageRequest } from '../index/repository.ts'
import { revisionOf } from '../index/tags-repository.ts'
import type { Deletion, IndexedManifest } from './delete-repositories.ts'
import { countRemoved } from './requested-deletions-repository.ts'

/** Number of tags or references that one statement removes. */
const ROWS = 2000

/**
 * The rows of a repository that is being deleted. Each statement handles a bounded number of rows, so that repositories
 * of any size can be deleted. Readers treat such a repository as absent, so they never see that a part is missing.
 */
export function createRemovedContentsRepository(db: Database) {
  return {
    /** A page of the recorded manifests, ordered by digest. */
    async listManifests(repositoryId: string, { after, limit }: PageRequest): Promise<IndexedManifest[]> {
      return db
        .selectFrom('manifests')
        .select(['digest', 'media_type as mediaType', revisionOf('manifests').as('revision')])
        .where('repository_id', '=', repositoryId)
        .where('digest', '>', after)
        .orderBy('digest')
        .limit(limit)
        .execute()
    },

    /**
     * A page, after a digest, of the blobs that these manifests reference, and no other recorded manifest of the
     * repository. A pending one does not keep its blobs: if its push is given up, nothing would delete them.
     */
    async listOwnBlobs(
      repositoryId: string,
      manifests: readonly string[],
      { after, limit }: PageRequest,
    ): Promise<string[]> {
      const { rows } = await sql<{ digest: string }>`
        with named as materialized (
          select distinct digest from manifest_references
          where repository_id = ${repositoryId} and manifest_digest = ${anyOf(manifests)} and digest > ${after}
        )
        select digest from named
        where not exists (select from manifests where repository_id = ${repositoryId} and manifests.digest = named.digest)
          -- With a limit, so that Postgres looks up each digest, and never reads all references of the repository.
          and (
            select true from manifest_references as other
            where other.repository_id = ${repositoryId} and other.digest = named.digest
              and other.manifest_digest <> all(${sql.val([...manifests])}::text[])
              and exists (
                select from manifests
                where manifests.repository_id = other.repository_id and manifests.digest = other.manifest_digest)
            limit 1) is null
        order by digest limit ${limit}`.execute(db)
      return rows.map(({ digest }) => digest)
    },

    /**
     * Removes the rows of manifests with their tags and references, except of manifests whose revision has changed: a
     * push has recorded them again. Counts them for the event of the deletion.
     */
    async removeManifests({ id }: Deletion, manifests: readonly IndexedManifest[]): Promise<void> {
      const revisions = new Map(manifests.map(({ digest, revision }) => [digest, revision]))
      await inTransaction(db, async (tx) => {
        // Locked first, as by pushes.
        const isBeingDeleted = await tx
          .selectFrom('repositories')
          .select('id')
          .where('id', '=', id)
          .where('deleting_since', 'is not', null)
          .forUpdate()
          .executeTakeFirst()
        if (isBeingDeleted === undefined) return
        const found = await tx
          .selectFrom('manifests')
          .select(['digest', revisionOf('manifests').as('revision')])
          .where('repository_id', '=', id)
          .where('digest', '=', anyOf([...revisions.keys()]))
          .execute()
        const removed = found
          .filter(({ digest, revision }) => revisions.get(digest) === revision)
          .map(({ digest }) => digest)
        await removeRows(tx, id, removed)
        await countRemoved(tx, id, removed.length)
      })
    },
  }
}

/** Removes tags and references before the manifests: a cascade would remove all of them by one statement. */
async function removeRows(tx: Transaction<Schema>, id: string, digests: readonly string[]): Promise<void> {
  const columns = { tags: sql`digest`, manifest_references: sql`manifest_digest` }
  for (const [table, column] of Object.entries(columns)) {
    for (let removed: bigint | undefined = BigInt(ROWS); removed === BigInt(ROWS);) {
      const result = await sql`
        delete from ${sql.table(table)} where ctid = any(array(
          select ctid from ${sql.table(table)}
          where repository_id = ${id} and ${column} = ${anyOf(digests)} limit ${ROWS}))`.execute(tx)
      removed = result.numAffectedRows
    }
  }
  await tx
    .deleteFrom('all_manifests')
    .where('repository_id', '=', id)
    .where('digest', '=', anyOf(digests))
    .execute()
}
