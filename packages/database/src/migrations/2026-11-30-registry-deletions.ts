import type { Kysely } from 'kysely'
import { sql } from 'kysely'

/**
 * A sequence that every deletion advances after it has changed the registry. Reconcile compares two values of it for
 * equality. A sequence is no row: deletions do not wait for each other, and a value is visible before the commit.
 */
export async function up(db: Kysely<any>): Promise<void> {
  await sql`create sequence registry_deletions`.execute(db)
}

export async function down(db: Kysely<any>): Promise<void> {
  await sql`drop sequence registry_deletions`.execute(db)
}
