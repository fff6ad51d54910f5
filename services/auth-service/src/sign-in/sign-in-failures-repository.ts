import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { StoredFailures } from './shared-failures.ts'

export type SignInFailuresRepository = ReturnType<typeof createSignInFailuresRepository>

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

    /** Adds a failure to buckets as `addFailure` does: a new bucket gets the times that are given. */
    async add(failures: readonly StoredFailures[]): Promise<StoredFailures[]> {
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
            failed_at: sql`greatest(sign_in_failures.failed_at, excluded.failed_at)`,
            clears_at: sql`greatest(sign_in_failures.clears_at, excluded.failed_at)
              + (excluded.clears_at - excluded.failed_at)`,
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
