import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export async function up(db: Kysely<any>): Promise<void> {
  // Sessions of people who signed in with a browser. A session ends with its account's generation.
  await db.schema
    .createTable('browser_sessions')
    .addColumn('token_hash', 'bytea', (column) => column.primaryKey())
    .addColumn('account_id', 'uuid', (column) =>
      column.notNull().references('accounts.id').onDelete('cascade'),
    )
    .addColumn('generation', 'integer', (column) => column.notNull())
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn('used_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn('expires_at', 'timestamptz', (column) => column.notNull())
    .execute()
  await db.schema
    .createIndex('browser_sessions_by_account')
    .on('browser_sessions')
    .columns(['account_id', 'created_at'])
    .execute()
  // For housekeeping, which deletes expired sessions.
  await db.schema
    .createIndex('browser_sessions_by_expiry')
    .on('browser_sessions')
    .column('expires_at')
    .execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  await db.schema.dropTable('browser_sessions').execute()
}
