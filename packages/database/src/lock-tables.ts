import type { Kysely } from 'kysely'
import { sql } from 'kysely'

/**
 * Locks all tables that a migration changes. Statements lock them in different orders, so a migration that waited for
 * one table and held another could end in a deadlock, in which Postgres aborts the migration or the other transaction.
 * This function releases all locks and retries instead. It waits 200 ms for a lock, and gives up after 40 tries. Merged
 * migrations call it, so its behaviour must never change.
 */
export async function lockTables(
  db: Kysely<unknown>,
  tables: readonly string[],
  mode: 'access exclusive' | 'share row exclusive',
): Promise<void> {
  await sql`
    do $$
    declare
      previous text := current_setting('lock_timeout');
    begin
      for tries in 1..40 loop
        begin
          set local lock_timeout = '200ms';
          lock table ${sql.join(tables.map((table) => sql.table(table)))} in ${sql.raw(mode)} mode;
          perform set_config('lock_timeout', previous, true);
          return;
        exception when lock_not_available then
          perform pg_sleep(0.05);
        end;
      end loop;
      raise lock_not_available using message = 'other transactions hold locks on the tables of the index';
    end $$`.execute(db)
}
