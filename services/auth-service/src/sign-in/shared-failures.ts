import { createHmac } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import { isDatabaseUnavailable } from '@registry-manager/database'
import type { SharedFailures } from './attempt-limits.ts'
import type { Counted, FailureMemory } from './failure-memory.ts'
import { sql } from 'kysely'

/**
 * Failed sign-ins in Postgres, for all replicas. Only a failure writes: one statement, a row for each key, that adds to
 * the bucket as `addFailure` does. While the database is away they are counted in memory alone.
 *
 * Names are what somebody typed, sometimes a password in the wrong field: keys are MACs under a secret of the replicas.
 */
export function createSharedFailures(
  db: Database,
  memory: FailureMemory,
  secret: string,
  now: () => number,
): SharedFailures {
  const macOf = ({ key }: Counted) =>
    createHmac('sha256', secret).update(`sign-in failures of ${key}`).digest()

  /** Runs a statement and takes its rows over into memory. */
  const share = async (
    counted: readonly Counted[],
    run: (macs: readonly Buffer[]) => Promise<readonly { key: Buffer; failed_at: Date; clears_at: Date }[]>,
  ) => {
    const keys = new Map(counted.map((one) => [macOf(one).toString('hex'), one.key]))
    try {
      for (const row of await run(counted.map(macOf))) {
        const key = keys.get(row.key.toString('hex'))
        const times = { failedAt: row.failed_at.getTime(), clearsAt: row.clears_at.getTime() }
        if (key !== undefined) memory.merge(key, times)
      }
    } catch (error) {
      if (!isDatabaseUnavailable(error)) throw error
    }
  }

  return {
    find: memory.find,

    refresh: (counted) =>
      share(counted, (macs) =>
        db
          .selectFrom('sign_in_failures')
          .select(['key', 'failed_at', 'clears_at'])
          .where('key', 'in', macs)
          .where('clears_at', '>', new Date(now()))
          .execute(),
      ),

    async add(counted) {
      for (const one of counted) memory.add(one)
      const at = now()
      const rows = counted
        .map((one) => ({
          key: macOf(one),
          failed_at: new Date(at),
          clears_at: new Date(at + one.rule.drainMs),
        }))
        // In one order everywhere: statements that lock the same rows in another one are a deadlock.
        .toSorted((one, other) => one.key.compare(other.key))
      await share(counted, () =>
        db
          .insertInto('sign_in_failures')
          .values(rows)
          .onConflict((conflict) =>
            conflict.column('key').doUpdateSet({
              failed_at: sql`greatest(sign_in_failures.failed_at, excluded.failed_at)`,
              clears_at: sql`greatest(sign_in_failures.clears_at, excluded.failed_at)
                + (excluded.clears_at - excluded.failed_at)`,
            }),
          )
          .returning(['key', 'failed_at', 'clears_at'])
          .execute(),
      )
    },
  }
}
