import type { Database, Schema } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import type { NewEvent } from '@registry-manager/events'
import { isNested } from '@registry-manager/oci'
import type { Transaction } from 'kysely'
import { sql } from 'kysely'
import { recordEventsIn } from '../events-repository.ts'
import { IMAGE_MANAGER } from '../service-principal.ts'
import { listUnrestored, takeBackDeleted } from './restored-manifests-repository.ts'
import { ENTRY, isClaimStale, keepWhere, takeEntry } from './trash-entries-repository.ts'
import type { ListedEntry, TrashEnd, TrashEntry, TrashPage } from './trash-entry.ts'
import { trashRepository } from './trash-entry.ts'

/** Maximum number of tags of an entry that a list shows. */
const LISTED_TAGS = 20
/** Number of tags that one statement removes. */
const REMOVED_TAGS = 5000
/** The entries of the trash whose deletion has ended: lists, restores, and the end of the entry. */
export function createKeptTrashRepository(db: Database) {
  const end = async (tx: Transaction<Schema>, entries: readonly TrashEntry[], ended: TrashEnd) =>
    recordEventsIn(tx)(...entries.map((entry) => eventOf(entry, ended)))

  return {
    async list(namespace: string | undefined, { limit, before }: TrashPage): Promise<ListedEntry[]> {
      const { rows } = await sql<ListedEntry>`
        select ${ENTRY}, number::text as number, deleted_at as "deletedAt", deleted_by as "deletedBy",
          expires_at as "expiresAt", array(
            select tag from trash_tags where trash_id = trash.id order by tag limit ${LISTED_TAGS})::text[] as tags
        from trash where state in ('kept', 'restoring') and ${isWithin(namespace)}
          and ${before === undefined ? sql`true` : sql`number < ${before}::bigint`}
        order by trash.number desc limit ${limit}`.execute(db)
      return rows
    },

    /**
     * Claims an entry for a restore. Manifests that an earlier restore has restored, and that were deleted again, are
     * in the trash again. `busy`: another request restores the entry at this moment.
     */
    async beginRestore(namespace: string | undefined, id: string): Promise<TrashEntry | 'busy' | undefined> {
      return inTransaction(db, async (tx) => {
        const entry = await claimEntry(tx, namespace, id, 'restoring')
        if (entry !== undefined && entry !== 'busy') await takeBackDeleted(tx, entry)
        return entry
      })
    },

    /** Renews the claim of a restore. Returns false if the entry has ended: it was purged, for example. */
    async renewRestore({ id }: TrashEntry): Promise<boolean> {
      const { numAffectedRows } = await sql`
        update trash set state = 'restoring', claimed_at = now()
        where id = ${id}::uuid and ${isRestorable}`.execute(db)
      return numAffectedRows === 1n
    },

    /** Stops a restore that has left content in the trash. */
    async stopRestore({ id }: TrashEntry): Promise<void> {
      await sql`update trash set state = 'kept' where id = ${id}::uuid and state = 'restoring'`.execute(db)
    },

    /**
     * Ends a restore. Manifests that were deleted during the restore are in the trash again. The entry ends if nothing
     * is left in the trash. Returns up to `limit` manifests that are left; undefined if the entry has ended before.
     */
    async endRestore(entry: TrashEntry, ended: TrashEnd, limit: number): Promise<string[] | undefined> {
      return inTransaction(db, async (tx) => {
        const { rows } = await sql`
          select from trash where id = ${entry.id}::uuid and ${isRestorable} for update`.execute(tx)
        if (rows.length === 0) return undefined
        await takeBackDeleted(tx, entry)
        const left = await listUnrestored(tx, entry, limit)
        const state = left.length === 0 ? 'emptying' : 'kept'
        await sql`update trash set state = ${state}, claimed_at = now() where id = ${entry.id}::uuid`.execute(
          tx,
        )
        if (left.length === 0) await end(tx, [entry], ended)
        return left
      })
    },

    /** Ends an entry; it can no longer be restored. `busy`: a request restores it at this moment. */
    async purge(
      namespace: string | undefined,
      id: string,
      ended: TrashEnd,
    ): Promise<TrashEntry | 'busy' | undefined> {
      return inTransaction(db, async (tx) => {
        const entry = await claimEntry(tx, namespace, id, 'emptying')
        if (entry !== undefined && entry !== 'busy') await end(tx, [entry], ended)
        return entry
      })
    },

    /** Ends up to `limit` entries that have expired. Returns their number. */
    async expire(limit: number): Promise<number> {
      return inTransaction(db, async (tx) => {
        const { rows } = await sql<TrashEntry>`
          update trash set state = 'emptying', claimed_at = to_timestamp(0) where id = any(array(
            select id from trash where expires_at <= now() and state = 'kept'
            order by expires_at limit ${limit} for update skip locked))
          returning ${ENTRY}`.execute(tx)
        await end(tx, rows, {
          action: 'trash.purge',
          detail: { reason: 'expired' },
          principal: IMAGE_MANAGER,
        })
        return rows.length
      })
    },

    /** Claims an entry that no process empties at this moment. */
    takeEmptying: () => takeEntry(db, sql`state = 'emptying' and ${isClaimStale}`),

    /**
     * Ends restores that were interrupted. Keeps the entries of repositories whose deletion a process of the previous
     * version has finished.
     */
    async releaseInterrupted(): Promise<void> {
      await sql`update trash set state = 'kept' where state = 'restoring' and ${isClaimStale}`.execute(db)
      await keepWhere(
        db,
        sql`kind = 'repository' and state = 'filling' and ${isClaimStale}
          and not exists (select from all_repositories where all_repositories.id = trash.repository_id)`,
      )
    },

    /** Removes an entry of which nothing is left in the registry. */
    async remove(entry: TrashEntry): Promise<void> {
      await removeTags(db, entry)
      await inTransaction(db, async (tx) => {
        const name = trashRepository(entry)
        await tx.deleteFrom('all_repositories').where('name', '=', name).execute()
        await tx.deleteFrom('blob_aliases').where('repository', '=', name).execute()
        await tx.deleteFrom('trash').where('id', '=', entry.id).execute()
      })
    },

    /** The number of entries, and the bytes of their manifests and of the blobs that these reference. */
    async measure(): Promise<{ readonly entries: number; readonly bytes: number }> {
      const { rows } = await sql<{ entries: number; bytes: number }>`
        select (select count(*) from trash where state in ('kept', 'restoring'))::float8 as entries,
          coalesce((select bytes from namespace_usage where namespace = split_part(${trashRepository({ id: '' })}, '/', 1)), 0)::float8
            as bytes`.execute(db)
      return rows[0] ?? { entries: 0, bytes: 0 }
    },
  }
}

/** Whether an entry has not ended. A slow restore may find its entry in the state `kept`, because its claim expired. */
const isRestorable = sql<boolean>`state in ('kept', 'restoring')`

/** Removes the tags of an entry in pages: a cascade would remove all of them by one statement. */
async function removeTags(db: Database, { id }: TrashEntry): Promise<void> {
  for (let removed = BigInt(REMOVED_TAGS); removed === BigInt(REMOVED_TAGS);) {
    const { numAffectedRows } = await sql`
      delete from trash_tags where trash_id = ${id}::uuid and tag = any(array(
        select tag from trash_tags where trash_id = ${id}::uuid order by tag limit ${REMOVED_TAGS}))`.execute(
      db,
    )
    removed = numAffectedRows ?? 0n
  }
}

/** Claims an entry for a restore or a purge. `busy`: another request restores it at this moment. */
async function claimEntry(
  tx: Transaction<Schema>,
  namespace: string | undefined,
  id: string,
  state: 'restoring' | 'emptying',
): Promise<TrashEntry | 'busy' | undefined> {
  const { rows } = await sql<TrashEntry & { free: boolean }>`
    select ${ENTRY}, state = 'kept' or ${isClaimStale} as free from trash
    where id = ${id}::uuid and state in ('kept', 'restoring') and ${isWithin(namespace)}
    for update`.execute(tx)
  const [row] = rows
  if (row === undefined) return undefined
  const { free, ...entry } = row
  if (!free) return 'busy'
  await sql`update trash set state = ${state}, claimed_at = now() where id = ${id}::uuid`.execute(tx)
  return entry
}

/** The entries of repositories that a namespace covers. */
function isWithin(namespace: string | undefined) {
  if (namespace === undefined) return sql`true`
  const first = sql`split_part(repository, '/', 1) = split_part(${namespace}, '/', 1)`
  const own = isNested(namespace) ? sql`repository = ${namespace} or` : sql``
  return sql`${first} and (${own} starts_with(repository, ${`${namespace}/`}))`
}

function eventOf({ id, repository, digest }: TrashEntry, { action, detail, principal }: TrashEnd): NewEvent {
  return {
    action,
    target: digest === null ? { kind: 'repository', repository } : { kind: 'manifest', repository, digest },
    detail: { id, ...detail },
    ...(principal && { principal }),
  }
}
