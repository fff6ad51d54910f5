import type { Database } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import { sql } from 'kysely'
import { recordEventsIn } from '../events-repository.ts'
import type { CollectionSettings, UnknownBlob } from './manage-collection.ts'
import type { ListingTotals, StoredStatus } from './status.ts'

/** All numbers as double: pg reads bigint and numeric as strings. */
const amount = (name: string) => sql`json_build_object(
  'blobs', ${sql.ref(`${name}_blobs`)}::float8, 'bytes', ${sql.ref(`${name}_bytes`)}::float8)`

/** The state of the collection, for operators. */
export function createStatusRepository(db: Database) {
  return {
    async findStatus(): Promise<StoredStatus> {
      const { rows } = await sql<Omit<StoredStatus, 'removed' | 'listing'> & RemovedColumns>`
        select paused, blobs_per_second as "blobsPerSecond", reconciled_at is not null as "isReconciled",
          reviewed_at as "reviewedAt", removed_blobs::float8 as "removedBlobs",
          removed_bytes::float8 as "removedBytes", failed_removals::float8 as failures, removed_at as "removedAt",
          (select count(*) from unreferenced_blobs where state = 'waiting')::float8 as waiting,
          (select count(*) from unreferenced_blobs where state = 'condemned')::float8 as condemned,
          (select count(*) from unreferenced_blobs where state = 'removing')::float8 as removing,
          (select min(since) from unreferenced_blobs where state = 'condemned') as "oldestCondemned",
          (select count(*) from repository_blobs where digest >= 'sha512:' and digest < 'sha512;'
            and not exists (select from blob_aliases where sha512 = digest))::float8 as "unresolvedUploads",
          coalesce((select json_agg(failing) from (
            select digest, reason, failures from unreferenced_blobs
            where claim is null and reason is not null and state = 'condemned' order by since, digest limit 10
          ) failing), '[]') as failing
        from collection`.execute(db)
      const [row] = rows
      if (row === undefined) throw new Error('the table collection has no row')
      const { removedBlobs, removedBytes, failures, removedAt, ...status } = row
      const removed = { blobs: removedBlobs, bytes: removedBytes, failures, lastAt: removedAt }
      return { ...status, removed, listing: (await findListing(db)) ?? null }
    },

    findListing: () => findListing(db),

    async listUnknown(after: string, limit: number): Promise<UnknownBlob[]> {
      const { rows } = await sql<UnknownBlob>`
        select digest, bytes::float8 as bytes, modified_at as "modifiedAt" from unknown_blobs
        where listings > 0 and digest > ${after} order by digest limit ${limit}`.execute(db)
      return rows
    },

    async setSettings(settings: CollectionSettings): Promise<void> {
      await inTransaction(db, async (tx) => {
        const { rows } = await sql<CollectionSettings>`
          select paused, blobs_per_second as "blobsPerSecond" from collection for update`.execute(tx)
        const [before] = rows
        const changed = (['paused', 'blobsPerSecond'] as const).filter(
          (field) => before !== undefined && before[field] !== settings[field],
        )
        if (before === undefined || changed.length === 0) return
        await tx
          .updateTable('collection')
          .set({
            paused: settings.paused,
            blobs_per_second: settings.blobsPerSecond,
            next_claim_at: sql`now()`,
          })
          .execute()
        const detail = Object.fromEntries(
          changed.map((field) => [field, { from: before[field], to: settings[field] }]),
        )
        await recordEventsIn(tx)({ action: 'collection.update', target: { kind: 'storage' }, detail })
      })
    },
  }
}

interface RemovedColumns {
  readonly removedBlobs: number
  readonly removedBytes: number
  readonly failures: number
  readonly removedAt: Date | null
}

async function findListing(db: Database): Promise<ListingTotals | undefined> {
  const { rows } = await sql<ListingTotals>`
    select began_at as "beganAt", ended_at as "endedAt", ${amount('stored')} as stored, ${amount('known')} as known,
      ${amount('condemned')} as condemned, ${amount('recent')} as recent, ${amount('unknown')} as unknown,
      json_build_object('count', uploads::float8, 'bytes', upload_bytes::float8) as uploads
    from collection_listings where ended_at is not null order by began_at desc limit 1`.execute(db)
  return rows[0]
}
