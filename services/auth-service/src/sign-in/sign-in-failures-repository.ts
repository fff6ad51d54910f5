import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { AddedFailure, StoredFailures } from './shared-failures.ts'

/** Queries of failed sign-ins. A row is a bucket of `failure-rule.ts`; its key is a MAC. */
export function createSignInFailuresRepository(db: Database) {
  return {
    /** The buckets that are not empty at a time. */
    async find(keys: readonly Buffer[], at: Date): Promise<StoredFailures[]> {
      const rows = await db
        .selectFrom('sign_in_failures')
        .select(['key', 'failed_at', 'clears_at'])
        .where('key', 'in', keys)
        .where('clears_at', '>', at)
        .execute()
      return rows.map(toFailures)
    },

    /**
     * Adds a failure to buckets as `addFailure` does: a new bucket gets the times that are given. A failure of a
     * replica whose clock is behind does not make the last failure older.
     */
    async add(failures: readonly AddedFailure[]): Promise<StoredFailures[]> {
      const failedAt = sql<Date>`greatest(sign_in_failures.failed_at, excluded.failed_at)`
      // `excluded` has the columns of the table only.
      const drainTimes = sql.join(
        failures.map((one) => sql`(${one.key}::bytea, ${one.fullMs}::float8 * interval '1 millisecond')`),
      )
      const drainTime = sql`(select f.drains from (values ${drainTimes}) as f (key, drains) where f.key = excluded.key)`
      const rows = await db
        .insertInto('sign_in_failures')
        .values(
          failures.map(({ key, failedAt, clearsAt }) => ({
            key,
            failed_at: new Date(failedAt),
            clears_at: new Date(clearsAt),
          })),
        )
        .onConflict((conflict) =>
          conflict.column('key').doUpdateSet({
            failed_at: failedAt,
            clears_at: sql`least(
              greatest(sign_in_failures.clears_at, excluded.failed_at) + (excluded.clears_at - excluded.failed_at),
              ${failedAt} + ${drainTime})`,
          }),
        )
        .returning(['key', 'failed_at', 'clears_at'])
        .execute()
      return rows.map(toFailures)
    },
  }
}

function toFailures(row: { key: Buffer; failed_at: Date; clears_at: Date }): StoredFailures {
  return { key: row.key, failedAt: row.failed_at.getTime(), clearsAt: row.clears_at.getTime() }
}
