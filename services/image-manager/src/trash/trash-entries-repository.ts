import type { Database, Schema } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import { currentRequestContext } from '@registry-manager/http'
import type { Transaction } from 'kysely'
import { sql } from 'kysely'
import { IMAGE_MANAGER } from '../service-principal.ts'
import { contentsOf, copyManifests, copyTags } from './trash-contents-repository.ts'
import type { TrashEntry } from './trash-entry.ts'
import { trashRepository } from './trash-entry.ts'

/** After this time without a renewal of its claim, in seconds, a process is considered killed. */
const CLAIM_SECONDS = 120
/**
 * The same for the deletion of a manifest. It is longer, because the deletion does not renew its claim while it waits
 * for other deletions.
 */
const DELETION_SECONDS = 300

/** The columns of an entry. */
export const ENTRY = sql`trash.id, repository, repository_id as "repositoryId", kind, digest`
/** Whether no process works on an entry. */
export const isClaimStale = isOlderThan(CLAIM_SECONDS)
/** Whether the deletion of the content has not ended. */
const isInDeletion = sql<boolean>`state in ('filling', 'filled')`

function isOlderThan(seconds: number) {
  return sql<boolean>`claimed_at < now() - make_interval(secs => ${sql.lit(seconds)})`
}

/** The entries of the trash while their deletion is in progress. */
export function createTrashEntriesRepository(db: Database) {
  return {
    /**
     * Creates the entry of a manifest, with rows for all manifests that are copied to the trash with it. Returns
     * undefined if the index does not have the manifest.
     */
    async beginManifest(
      { repository, digest }: { readonly repository: string; readonly digest: string },
      { days, referrersTag }: { readonly days: number; readonly referrersTag: string },
    ): Promise<TrashEntry | undefined> {
      return inTransaction(db, async (tx) => {
        const source = await tx
          .selectFrom('repositories')
          .select('id')
          .where('name', '=', repository)
          .executeTakeFirst()
        if (source === undefined) return undefined
        const contents = await contentsOf(tx, source.id, digest, referrersTag)
        if (contents.length === 0) return undefined
        const entry = await insertEntry(
          tx,
          { repository, repositoryId: source.id, kind: 'manifest', digest },
          days,
        )
        await copyManifests(tx, entry, contents)
        await copyTags(tx, entry, [digest])
        return entry
      })
    },

    async copyTags(entry: TrashEntry): Promise<void> {
      const { digest } = entry
      if (digest !== null) await inTransaction(db, (tx) => copyTags(tx, entry, [digest]))
    },

    /** The entry that a deletion of a repository fills. */
    async findFilling(repositoryId: string): Promise<TrashEntry | undefined> {
      const { rows } = await sql<TrashEntry>`
        select ${ENTRY} from trash
        where repository_id = ${repositoryId}::uuid and kind = 'repository' and state = 'filling'`.execute(db)
      return rows[0]
    },

    /** Renews the claim on an entry. Returns false if the entry is gone. */
    async renew({ id }: TrashEntry): Promise<boolean> {
      const { numUpdatedRows } = await db
        .updateTable('trash')
        .set({ claimed_at: sql`now()` })
        .where('id', '=', id)
        .executeTakeFirstOrThrow()
      return numUpdatedRows === 1n
    },

    /**
     * Records that all content of an entry is in the trash, so that it may be deleted from its original repository.
     * Returns false if the entry is gone.
     */
    async setFilled({ id }: TrashEntry): Promise<boolean> {
      const { numUpdatedRows } = await db
        .updateTable('trash')
        .set({ state: 'filled', claimed_at: sql`now()` })
        .where('id', '=', id)
        .where('state', '=', 'filling')
        .executeTakeFirstOrThrow()
      return numUpdatedRows === 1n
    },

    /**
     * Records that the content of an entry was deleted from its original repository. From now on lists show the entry,
     * and it expires.
     */
    keep: ({ id }: TrashEntry): Promise<void> => keepWhere(db, sql`id = ${id}::uuid and ${isInDeletion}`),

    /** Records that the content of an entry was not deleted: the entry ends without an event. */
    async discard({ id }: TrashEntry): Promise<void> {
      await db
        .updateTable('trash')
        .set({ state: 'emptying', claimed_at: sql`to_timestamp(0)` })
        .where('id', '=', id)
        .where(isInDeletion)
        .execute()
    },

    /** Claims the entry of a manifest whose deletion was interrupted. `isFilled`: all content was in the trash. */
    async takeInterrupted(): Promise<{ readonly entry: TrashEntry; readonly isFilled: boolean } | undefined> {
      const entry = await takeEntry(
        db,
        sql`kind = 'manifest' and ${isInDeletion} and ${isOlderThan(DELETION_SECONDS)}`,
      )
      if (entry === undefined) return undefined
      const row = await db.selectFrom('trash').select('state').where('id', '=', entry.id).executeTakeFirst()
      return { entry, isFilled: row?.state === 'filled' }
    },
  }
}

/** Creates the entry of a repository, unless it exists. In the transaction that begins the deletion. */
export async function beginRepositoryTrash(
  tx: Transaction<Schema>,
  { id, name }: { readonly id: string; readonly name: string },
  days: number,
): Promise<void> {
  const found = await sql`
    select from trash where repository_id = ${id}::uuid and kind = 'repository' and state = 'filling'`.execute(
    tx,
  )
  if (found.rows.length > 0) return
  await insertEntry(tx, { repository: name, repositoryId: id, kind: 'repository', digest: null }, days)
}

/** Keeps the entry that the deletion of a repository has filled. In the transaction that ends the deletion. */
export async function keepRepositoryTrash(tx: Transaction<Schema>, repositoryId: string): Promise<void> {
  await keepWhere(
    tx,
    sql`repository_id = ${repositoryId}::uuid and kind = 'repository' and state = 'filling'`,
  )
}

/** Claims one of the entries for which a condition holds. */
export async function takeEntry(
  db: Database,
  condition: ReturnType<typeof sql>,
): Promise<TrashEntry | undefined> {
  const { rows } = await sql<TrashEntry>`
    update trash set claimed_at = now() where id = (
      select id from trash where ${condition} order by claimed_at limit 1 for update skip locked)
    returning ${ENTRY}`.execute(db)
  return rows[0]
}

/** Keeps entries that have manifests, and removes the others. */
export async function keepWhere(tx: Database, condition: ReturnType<typeof sql>): Promise<void> {
  const isEmpty = sql`not exists (
    select from all_repositories where name = ${trashRepository({ id: '' })} || trash.id::text)`
  await sql`delete from trash where ${condition} and ${isEmpty}`.execute(tx)
  await sql`
    update trash set state = 'kept', deleted_at = now(), expires_at = now() + make_interval(secs => days * 86400)
    where ${condition}`.execute(tx)
}

async function insertEntry(
  tx: Transaction<Schema>,
  entry: Omit<TrashEntry, 'id'>,
  days: number,
): Promise<TrashEntry> {
  const by = currentRequestContext()?.principal ?? IMAGE_MANAGER
  const { id } = await tx
    .insertInto('trash')
    .values({
      repository: entry.repository,
      repository_id: entry.repositoryId,
      kind: entry.kind,
      digest: entry.digest,
      state: 'filling',
      days,
      deleted_by: JSON.stringify(by),
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return { ...entry, id }
}
