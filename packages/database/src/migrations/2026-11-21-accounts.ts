import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export async function up(db: Kysely<any>): Promise<void> {
  await db.schema
    .createTable('accounts')
    .addColumn('id', 'uuid', (column) => column.primaryKey().defaultTo(sql`gen_random_uuid()`))
    // Byte order: pages do not depend on the database's locale.
    .addColumn('username', sql`text collate "C"`, (column) => column.notNull().unique())
    .addColumn('directory', 'boolean', (column) => column.notNull())
    .addColumn('role', 'text', (column) =>
      column.notNull().check(sql`role in ('cluster-administrator', 'administrator', 'user')`),
    )
    .addColumn('enabled', 'boolean', (column) => column.notNull().defaultTo(true))
    .addColumn('namespaces', sql`text[]`, (column) => column.notNull().defaultTo(sql`'{}'`))
    .addColumn('password_hash', 'text')
    .addColumn('generation', 'integer', (column) => column.notNull().defaultTo(1))
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn('updated_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addCheckConstraint('accounts_password', sql`directory = (password_hash is null)`)
    .execute()

  // No foreign key: a revocation outlives its account.
  await db.schema
    .createTable('revocations')
    .addColumn('account_id', 'uuid', (column) => column.primaryKey())
    .addColumn('least_generation', 'integer', (column) => column.notNull())
    .addColumn('revoked_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute()
  await db.schema.createIndex('revocations_by_time').on('revocations').column('revoked_at').execute()

  await db.schema
    .createTable('refresh_tokens')
    .addColumn('id', 'uuid', (column) => column.primaryKey().defaultTo(sql`gen_random_uuid()`))
    .addColumn('token_hash', 'bytea', (column) => column.notNull().unique())
    .addColumn('account_id', 'uuid', (column) =>
      column.notNull().references('accounts.id').onDelete('cascade'),
    )
    .addColumn('generation', 'integer', (column) => column.notNull())
    .addColumn('service', 'text', (column) => column.notNull())
    .addColumn('client_id', 'text', (column) => column.notNull())
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn('used_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute()
  await db.schema
    .createIndex('refresh_tokens_by_account')
    .on('refresh_tokens')
    .columns(['account_id', 'used_at'])
    .execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  for (const table of ['refresh_tokens', 'revocations', 'accounts']) {
    await db.schema.dropTable(table).execute()
  }
}
