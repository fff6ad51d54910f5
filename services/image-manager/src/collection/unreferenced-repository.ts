import type { Database } from '@registry-manager/database'
import { inTransaction, secondsInterval } from '@registry-manager/database'
import { sql } from 'kysely'
import type { RemovalResults } from './claims.ts'
import { IDENTITY, createTransactionWatch } from './database-identity-repository.ts'
import { isPushed, isReferenced } from './referenced-repository.ts'
import type { ReviewState } from './review.ts'

/** Blobs of the storage that have lost a reference: from the release of their digest to the removal of their data. */
export function createUnreferencedRepository(db: Database) {
  const transactions = createTransactionWatch()

  return {
    /**
     * Makes the collection wait for a new reconcile run if the database is not the same as before: a restored backup
     * may lack rows for content in the storage. Looks for a reconcile run without failures that began after the start
     * of the collection. A run skips items that failed before and are not due, without counting them as failures. So no
     * repository and no manifest may be failing either.
     */
    async beginReview(): Promise<ReviewState> {
      return inTransaction(db, async (tx) => {
        const { rows } = await sql<{ isOther: boolean }>`
          select database is not null and database <> ${IDENTITY} as "isOther" from collection for update`.execute(
          tx,
        )
        if (rows[0]?.isOther === true || (await transactions.hasGoneBack(tx))) {
          await sql`update collection set began_at = now(), reconciled_at = null`.execute(tx)
          await sql`
            update unreferenced_blobs set state = 'waiting', since = now(), condemned_by = null
            where state <> 'removing' or removing_until < now()`.execute(tx)
        }
        const state = await sql<ReviewState>`
          update collection set database = ${IDENTITY}, reviewed_at = now(), reconciled_at = coalesce(reconciled_at, (
            select min(finished_at) from reconciliations
            where started_at >= began_at and coalesce((counts ->> 'failures')::bigint, 0) = 0
              and not exists (select from background_failures where kind in ('repository', 'manifest'))))
          returning paused as "isPaused", reconciled_at is not null as "isReconciled"`.execute(tx)
        await transactions.update(tx)
        return state.rows[0] ?? { isPaused: true, isReconciled: false }
      })
    },

    /** Moves released digests to the blobs that wait for the end of the grace period. Returns their number. */
    async takeReleased(limit: number): Promise<number> {
      return inTransaction(db, async (tx) => {
        const { rows } = await sql<{ taken: number }>`
          with taken as (
            delete from released_digests where id in (
              select id from released_digests order by id limit ${limit} for update skip locked)
            returning digest, released_at
          ), moved as (
            insert into unreferenced_blobs as known (digest, since, state)
            select digest, max(released_at), 'waiting' from taken group by digest order by digest
            on conflict (digest) do update set
              since = excluded.since, state = 'waiting', condemned_by = null, linked_at = null
            where known.state <> 'removing' and known.since < excluded.since
          )
          select count(*)::integer as taken from taken`.execute(tx)
        return rows[0]?.taken ?? 0
      })
    },

    /**
     * Decides about waiting blobs whose grace period has ended. Condemns those that nothing references, and deletes the
     * rows of those that are referenced. A new grace period begins for a blob that only a pending push references, and
     * for one to which the last complete listing of the storage, or a later one, has found a link. Returns the number
     * of condemned blobs, and of all blobs that are no longer waiting.
     */
    async condemn(
      limit: number,
      graceSeconds: number,
    ): Promise<{ readonly decided: number; readonly condemned: number }> {
      const { rows } = await sql<{ decided: number; condemned: number }>`
        with reviewed as (
          select digest, coalesce(linked_at >= (
              select max(began_at) from collection_listings where ended_at is not null), linked_at is not null) as is_linked
          from unreferenced_blobs
          where state = 'waiting' and since <= now() - ${secondsInterval(graceSeconds)}
          order by since, digest limit ${limit} for update skip locked
        ), referenced as (
          select digest from reviewed where ${isReferenced(sql`reviewed.digest`)}
        ), forgotten as (
          delete from unreferenced_blobs where digest in (select digest from referenced) returning digest
        ), pushed as (
          select digest from reviewed where is_linked or ${isPushed(sql`reviewed.digest`)}
          except select digest from referenced
        ), postponed as (
          update unreferenced_blobs set since = now() where digest in (select digest from pushed)
        ), condemned as (
          update unreferenced_blobs set state = 'condemned', condemned_by = pg_current_xact_id()
          where digest in (
            select digest from reviewed except select digest from referenced except select digest from pushed)
          returning digest
        )
        select ((select count(*) from forgotten) + (select count(*) from condemned))::integer as decided,
          (select count(*) from condemned)::integer as condemned`.execute(db)
      return rows[0] ?? { decided: 0, condemned: 0 }
    },

    /**
     * Claims condemned blobs for a storage worker. For `holdSeconds` no row can reference them. Undefined if there are
     * none, or if nothing may be removed now.
     *
     * A transaction that stores a reference to a condemned blob deletes the row of the blob. This statement skips rows
     * that such a transaction has locked. A transaction that began before the blob was condemned may not have seen the
     * row of the blob. So the blob cannot be claimed until all these transactions have ended and their rows are
     * visible.
     */
    async claim({
      limit,
      holdSeconds,
    }: {
      readonly limit: number
      readonly holdSeconds: number
    }): Promise<
      { readonly id: string; readonly digests: string[]; readonly blobsPerSecond: number | null } | undefined
    > {
      return inTransaction(db, async (tx) => {
        // The lock on this row serializes claims with each other, and with uploads by a sha512 whose sha256 is not
        // known.
        const { rows } = await sql<{ rate: number | null }>`
          select blobs_per_second as rate from collection
          where not paused and reconciled_at is not null and database = ${IDENTITY}
            and next_claim_at <= clock_timestamp() for update`.execute(tx)
        const [collection] = rows
        if (collection === undefined || (await transactions.hasGoneBack(tx))) return undefined
        const { rate } = collection
        const most = rate === null ? limit : Math.max(1, Math.min(limit, Math.floor(rate * RATE_SECONDS)))
        const claimed = await sql<{ id: string; digest: string }>`
          with ended as (
            select digest from unreferenced_blobs
            where state = 'removing' and removing_until < clock_timestamp()
            limit ${most} for update skip locked
          ), condemned as (
            select digest from unreferenced_blobs
            where state = 'condemned' and condemned_by < pg_snapshot_xmin(pg_current_snapshot())
              and (retry_at is null or retry_at < now())
            order by since, digest limit ${most} for update skip locked
          ), claimable as (
            select digest from (select digest from ended union all select digest from condemned) candidates
            where not exists (
              select from repository_blobs uploaded
              where uploaded.digest >= 'sha512:' and uploaded.digest < 'sha512;'
                and not exists (select from blob_aliases where sha512 = uploaded.digest))
            limit ${most}
          ), referenced as (
            select digest from claimable where ${isReferenced(sql`claimable.digest`)}
          ), forgotten as (
            delete from unreferenced_blobs where digest in (select digest from referenced)
          ), pushed as (
            select digest from claimable where ${isPushed(sql`claimable.digest`)}
            except select digest from referenced
          ), postponed as (
            update unreferenced_blobs set state = 'waiting', since = now(), condemned_by = null
            where digest in (select digest from pushed)
          ), claim as materialized (select gen_random_uuid() as id)
          update unreferenced_blobs set state = 'removing', claim = claim.id, retry_at = null,
            removing_until = clock_timestamp() + ${secondsInterval(holdSeconds)}
          from claim where digest in (
            select digest from claimable except select digest from referenced except select digest from pushed)
          returning claim.id, digest`.execute(tx)
        const [first] = claimed.rows
        if (first === undefined) return undefined
        const digests = claimed.rows.map(({ digest }) => digest)
        if (rate !== null)
          await sql`
            update collection
            set next_claim_at = clock_timestamp() + ${secondsInterval(digests.length / rate)}`.execute(tx)
        return { id: first.id, digests, blobsPerSecond: rate }
      })
    },

    /** Records the results of a claim. Has no effect on blobs of other claims. */
    async recordResults(id: string, { removed, failed }: RemovalResults): Promise<void> {
      await sql`
        with removed as (
          select * from unnest(
            ${sql.val(removed.map(({ digest }) => digest))}::text[],
            ${sql.val(removed.map(({ bytes }) => bytes))}::bigint[]) as given (digest, bytes)
        ), gone as (
          delete from unreferenced_blobs using removed
          where unreferenced_blobs.digest = removed.digest and claim = ${id}::uuid and state = 'removing'
          returning coalesce(removed.bytes, unreferenced_blobs.bytes, 0) as bytes
        ), failed as (
          update unreferenced_blobs set
            state = 'condemned', claim = null, removing_until = null, reason = given.reason, failures = failures + 1,
            retry_at = now() + least(interval '1 hour', interval '10 seconds' * power(2, least(failures, 12)))
          from unnest(
            ${sql.val(failed.map(({ digest }) => digest))}::text[],
            ${sql.val(failed.map(({ reason }) => reason))}::text[]) as given (digest, reason)
          where unreferenced_blobs.digest = given.digest and claim = ${id}::uuid and state = 'removing'
          returning given.digest
        )
        update collection set
          removed_blobs = removed_blobs + (select count(*) from gone),
          removed_bytes = removed_bytes + (select coalesce(sum(bytes), 0) from gone),
          failed_removals = failed_removals + (select count(*) from failed),
          removed_at = case when exists (select from gone) then now() else removed_at end`.execute(db)
    },
  }
}

/** With a rate limit, a claim has at most the blobs of this many seconds. */
const RATE_SECONDS = 5
