import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export async function up(db: Kysely<any>): Promise<void> {
  // Failed sign-ins, counted per account and per address. A key is a MAC, because a username may be a
  // mistyped password.
  await db.schema
    .createTable('sign_in_failures')
    .addColumn('key', 'bytea', (column) => column.primaryKey())
    .addColumn('failed_at', 'timestamptz', (column) => column.notNull())
    .addColumn('clears_at', 'timestamptz', (column) => column.notNull())
    .execute()
  await db.schema.createIndex('sign_in_failures_by_end').on('sign_in_failures').column('clears_at').execute()

  // Addresses from which an account has signed in: failures at other addresses do not limit them.
  await db.schema
    .createTable('known_addresses')
    .addColumn('account_id', 'uuid', (column) =>
      column.notNull().references('accounts.id').onDelete('cascade'),
    )
    .addColumn('address', 'text', (column) => column.notNull())
    .addColumn('seen_at', 'timestamptz', (column) => column.notNull())
    .addPrimaryKeyConstraint('known_addresses_pkey', ['account_id', 'address'])
    .execute()
  await db.schema.createIndex('known_addresses_by_time').on('known_addresses').columns(['seen_at']).execute()

  // For housekeeping, which deletes refresh tokens that were unused for a long time.
  await db.schema.createIndex('refresh_tokens_by_use').on('refresh_tokens').column('used_at').execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  await sql`drop index refresh_tokens_by_use`.execute(db)
  for (const table of ['known_addresses', 'sign_in_failures']) await db.schema.dropTable(table).execute()
}
