import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'

/**
 * Identifies the content of the database: the server; its timeline, which a failover and a recovery to an earlier point
 * in time change; the database; and the transaction that wrote the row of the first migration. `pg_restore` writes that
 * row again, so a dump that is restored into the same database has another identity. VACUUM does not change `xmin`.
 * The timeline comes from the name of the current WAL file: `pg_control_checkpoint` shows a new one only after the next
 * checkpoint, which may be minutes after a failover.
 */
export const IDENTITY = sql<string>`(
  select system_identifier || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) || '/' || pg_database.oid || '/'
    || (select xmin::text from kysely_migration order by name limit 1)
  from pg_control_system(), pg_database where datname = current_database())`

/**
 * Compares the transaction ids of the database with the greatest one that this process has seen. They never go back,
 * unless the disk of the server was set back to an earlier state, which does not change `IDENTITY`.
 */
export function createTransactionWatch() {
  let newest = 0n
  const read = async (tx: Database): Promise<bigint> => {
    const { rows } = await sql<{ next: string }>`
      select pg_snapshot_xmax(pg_current_snapshot())::text as next`.execute(tx)
    return BigInt(rows[0]?.next ?? 0)
  }
  return {
    async hasGoneBack(tx: Database): Promise<boolean> {
      return (await read(tx)) < newest
    },
    /** Continues with the present transaction ids. */
    async update(tx: Database): Promise<void> {
      newest = await read(tx)
    },
  }
}
