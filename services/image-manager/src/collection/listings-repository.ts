import type { Database } from '@registry-manager/database'
import { anyOf, inTransaction, secondsInterval } from '@registry-manager/database'
import { sql } from 'kysely'
import type { ListingPage, ListingUploads } from './listing.ts'
import { isPushed, isReferenced } from './referenced-repository.ts'

/** Listings of the storage. One worker at a time has the lease. */
export function createListingsRepository(db: Database) {
  return {
    /** Begins a listing if one is due and no other worker is making one. Returns its id. */
    async beginListing(
      worker: string,
      { dueSeconds, leaseSeconds }: { readonly dueSeconds: number; readonly leaseSeconds: number },
    ): Promise<string | undefined> {
      return inTransaction(db, async (tx) => {
        // Two workers that ask at the same time wait for each other.
        await sql`select from collection for update`.execute(tx)
        await sql`delete from collection_listings where ended_at is null and leased_until < now()`.execute(tx)
        const { rows } = await sql<{ id: string }>`
          insert into collection_listings (worker, leased_until)
          select ${worker}, now() + ${secondsInterval(leaseSeconds)}
          where not exists (
            select from collection_listings
            where ended_at is null or began_at > now() - ${secondsInterval(dueSeconds)})
          returning id`.execute(tx)
        return rows[0]?.id
      })
    },

    /**
     * Adds a page to a listing and renews its lease. Adds nothing if the page was added before. False if the listing
     * has ended, or another worker has taken over.
     */
    async addPage(
      id: string,
      { key, blobs, links }: ListingPage & { readonly key: string },
      leaseSeconds: number,
    ): Promise<boolean> {
      return inTransaction(db, async (tx) => {
        const { rows } = await sql<{ isNew: boolean }>`
          update collection_listings as listing set
            leased_until = now() + ${secondsInterval(leaseSeconds)}, last_page = ${key}
          from (select id, last_page from collection_listings where id = ${id}::uuid for update) before
          where listing.id = before.id and ended_at is null
          returning before.last_page is distinct from ${key} as "isNew"`.execute(tx)
        const [listing] = rows
        if (listing?.isNew !== true) return listing !== undefined
        if (blobs.length > 0) await addBlobs(tx, id, blobs)
        if (links.length > 0) await addLinks(tx, id, links)
        return true
      })
    },

    /**
     * Counts one batch of the blobs that the index does not name, in the order of their digests: as recent or unknown.
     * Deletes the rows of blobs that only an earlier listing has found, and of blobs with a link. Returns the last
     * digest; undefined if the batch was the last one.
     */
    async countUnnamed(
      id: string,
      after: string,
      { limit, graceSeconds }: { readonly limit: number; readonly graceSeconds: number },
    ): Promise<string | undefined> {
      const { rows } = await sql<{ last: string | null; size: number }>`
        with batch as (
          select digest from unknown_blobs where digest > ${after} order by digest limit ${limit}
        ), gone as (
          delete from unknown_blobs where digest in (select digest from batch) and (listing <> ${id}::uuid or linked)
        ), settled as (
          update unknown_blobs set settled = ${id}::uuid,
            listings = case when modified_at <= now() - ${secondsInterval(graceSeconds)} then listings + 1 else 0 end
          where digest in (select digest from batch) and listing = ${id}::uuid and not linked
            and settled is distinct from ${id}::uuid
          returning bytes, listings > 0 as is_unknown
        ), counted as (
          update collection_listings set
            unknown_blobs = unknown_blobs + (select count(*) from settled where is_unknown),
            unknown_bytes = unknown_bytes + (select coalesce(sum(bytes), 0) from settled where is_unknown),
            recent_blobs = recent_blobs + (select count(*) from settled where not is_unknown),
            recent_bytes = recent_bytes + (select coalesce(sum(bytes), 0) from settled where not is_unknown)
          where id = ${id}::uuid and ended_at is null
        )
        select max(digest) as last, count(*)::integer as size from batch`.execute(db)
      const [batch] = rows
      return batch === undefined || batch.size < limit ? undefined : (batch.last ?? undefined)
    },

    /** Ends a listing and deletes the earlier ones. False if there is no such listing. */
    async endListing(id: string, { count, bytes }: ListingUploads): Promise<boolean> {
      const { rows } = await sql`
        update collection_listings set ended_at = coalesce(ended_at, now()), uploads = ${count}, upload_bytes = ${bytes}
        where id = ${id}::uuid returning id`.execute(db)
      await sql`
        delete from collection_listings where began_at < (
          select began_at from collection_listings where id = ${id}::uuid)`.execute(db)
      return rows.length === 1
    },

    /**
     * Moves blobs that were unknown in two complete listings in a row to the waiting blobs, so that the next review
     * condemns them. Returns their number.
     */
    async condemnUnknown(limit: number): Promise<number> {
      const { rows } = await sql<{ moved: number }>`
        with moved as (
          delete from unknown_blobs where digest in (
            select digest from unknown_blobs where listings >= 2 order by digest limit ${limit})
          returning digest, bytes, modified_at
        ), inserted as (
          insert into unreferenced_blobs (digest, since, state, bytes)
          select digest, modified_at, 'waiting', bytes from moved order by digest on conflict do nothing
        )
        select count(*)::integer as moved from moved`.execute(db)
      return rows[0]?.moved ?? 0
    },
  }
}

async function addBlobs(tx: Database, id: string, blobs: ListingPage['blobs']): Promise<void> {
  await sql`
    with given as materialized (
      select distinct on (digest) digest, bytes, modified_at from unnest(
        ${sql.val(blobs.map(({ digest }) => digest))}::text[],
        ${sql.val(blobs.map(({ bytes }) => bytes))}::bigint[],
        ${sql.val(blobs.map(({ modifiedAt }) => modifiedAt))}::timestamptz[]) as given (digest, bytes, modified_at)
      order by digest
    ), known as materialized (
      select digest, bytes from given where ${isReferenced(sql`given.digest`)} or ${isPushed(sql`given.digest`)}
    ), condemned as (
      update unreferenced_blobs set bytes = given.bytes from given
      where unreferenced_blobs.digest = given.digest and given.digest not in (select digest from known)
      returning given.digest, given.bytes
    ), named as (
      select digest, bytes from known union all select digest, bytes from condemned
    ), forgotten as (
      delete from unknown_blobs where digest in (select digest from named)
    ), found as (
      insert into unknown_blobs (digest, bytes, modified_at, listing)
      select digest, bytes, modified_at, ${id}::uuid from given where digest not in (select digest from named)
      on conflict (digest) do update set
        bytes = excluded.bytes, modified_at = excluded.modified_at, listing = excluded.listing, linked = false
    )
    update collection_listings set
      stored_blobs = stored_blobs + (select count(*) from given),
      stored_bytes = stored_bytes + (select coalesce(sum(bytes), 0) from given),
      known_blobs = known_blobs + (select count(*) from known),
      known_bytes = known_bytes + (select coalesce(sum(bytes), 0) from known),
      condemned_blobs = condemned_blobs + (select count(*) from condemned),
      condemned_bytes = condemned_bytes + (select coalesce(sum(bytes), 0) from condemned)
    where id = ${id}::uuid`.execute(tx)
}

/**
 * A link to an unreferenced blob belongs to content that the index does not know, such as a manifest without a tag that
 * was pushed before registry-manager. The blob waits until a complete listing finds no link.
 */
async function addLinks(tx: Database, id: string, links: readonly string[]): Promise<void> {
  await sql`
    with linked as (
      update unknown_blobs set linked = true
      where digest = ${anyOf(links)} and listing = ${id}::uuid and not linked returning bytes
    ), kept as (
      update unreferenced_blobs set linked_at = now(), state = 'waiting', condemned_by = null
      where digest = ${anyOf(links)} and state in ('waiting', 'condemned')
    )
    update collection_listings set
      known_blobs = known_blobs + (select count(*) from linked),
      known_bytes = known_bytes + (select coalesce(sum(bytes), 0) from linked)
    where id = ${id}::uuid`.execute(tx)
}
