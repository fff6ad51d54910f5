import type { Transaction } from 'kysely'
import type { Database } from './connect.ts'
import { isStaleStatement } from './prepare-statements.ts'
import type { Schema } from './schema.ts'

/** Source: PostgreSQL, "Error Codes": deadlock_detected. */
const DEADLOCK = '40P01'
const TRIES = 5

/** Whether Postgres has ended a transaction because it and another one waited for each other. */
export function isDeadlock(error: unknown): boolean {
  return (error as { code?: string } | null)?.code === DEADLOCK
}

/**
 * Runs work in a transaction, at most five times. Postgres aborts a transaction because of a deadlock, or because a
 * migration has changed the columns of a prepared statement. An aborted transaction has no effect, so the work runs
 * again. Therefore it must not change anything outside of the database.
 */
export async function inTransaction<Result>(
  db: Database,
  work: (tx: Transaction<Schema>) => Promise<Result>,
): Promise<Result> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await db.transaction().execute(work)
    } catch (error) {
      if (tries === TRIES || !(isDeadlock(error) || isStaleStatement(error))) throw error
    }
  }
}
