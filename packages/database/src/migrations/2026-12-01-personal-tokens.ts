import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export async function up(db: Kysely<any>): Promise<void> {
  await db.schema
    .createTable('personal_tokens')
    .addColumn('id', 'uuid', (column) => column.primaryKey().defaultTo(sql`gen_random_uuid()`))
    .addColumn('account_id', 'uuid', (column) =>
      column.notNull().references('accounts.id').onDelete('cascade'),
    )
    // Byte order: pages do not depend on the database's locale.
    .addColumn('name', sql`text collate "C"`, (column) => column.notNull())
    .addColumn('scopes', 'jsonb')
    .addColumn('expires_at', 'timestamptz')
    .addColumn('secret_hash', 'bytea', (column) => column.notNull().unique())
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn('last_used_at', 'timestamptz')
    .addColumn('last_used_address', 'text')
    .execute()
  await sql`create unique index personal_tokens_by_name on personal_tokens (account_id, lower(name))`.execute(
    db,
  )
  await db.schema
    .createIndex('personal_tokens_by_expiry')
    .on('personal_tokens')
    .column('expires_at')
    .where(sql.ref('expires_at'), 'is not', null)
    .execute()

  // A column without a default takes no time, however many events there are.
  await db.schema.alterTable('events').addColumn('principal_via', 'jsonb').execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  await db.schema.alterTable('events').dropColumn('principal_via').execute()
  await db.schema.dropTable('personal_tokens').execute()
}
