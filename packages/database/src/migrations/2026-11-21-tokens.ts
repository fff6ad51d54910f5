import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export async function up(db: Kysely<any>): Promise<void> {
  // Users and registry tokens share the table, whose unique names make a name one account of either kind.
  await db.schema
    .alterTable('accounts')
    .addColumn('kind', 'text', (column) => column.notNull().defaultTo('user'))
    .execute()
  await db.schema.alterTable('accounts').dropConstraint('accounts_password').execute()
  // A registry token has no rights of a user, so code that confuses the two grants nothing.
  await db.schema
    .alterTable('accounts')
    .addCheckConstraint(
      'accounts_kind',
      sql`case kind
        when 'user' then directory = (password_hash is null)
        when 'token' then role = 'user' and namespaces = '{}' and not directory and password_hash is null
        else false end`,
    )
    .execute()

  await db.schema
    .createTable('registry_tokens')
    .addColumn('account_id', 'uuid', (column) =>
      column.primaryKey().references('accounts.id').onDelete('cascade'),
    )
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('scopes', 'jsonb', (column) => column.notNull())
    .addColumn('expires_at', 'timestamptz')
    .addColumn('secret_hash', 'bytea', (column) => column.notNull())
    .addColumn('previous_secret_hash', 'bytea')
    .addColumn('previous_secret_until', 'timestamptz')
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addColumn('created_by_id', 'uuid', (column) => column.notNull())
    .addColumn('modified_by', 'text')
    .addColumn('modified_by_id', 'uuid')
    .addColumn('modified_at', 'timestamptz')
    .addColumn('last_used_at', 'timestamptz')
    .addColumn('last_used_address', 'text')
    .addCheckConstraint(
      'registry_tokens_previous_secret',
      sql`(previous_secret_hash is null) = (previous_secret_until is null)`,
    )
    .execute()
  await db.schema
    .createIndex('registry_tokens_by_expiry')
    .on('registry_tokens')
    .column('expires_at')
    .where(sql.ref('expires_at'), 'is not', null)
    .execute()

  // This installation: the one registry of the provider's API; inserted once, by this migration.
  await db.schema
    .createTable('installation')
    .addColumn('id', 'uuid', (column) => column.primaryKey().defaultTo(sql`gen_random_uuid()`))
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute()
  await sql`insert into installation default values`.execute(db)
}

export async function down(db: Kysely<any>): Promise<void> {
  for (const table of ['installation', 'registry_tokens']) await db.schema.dropTable(table).execute()
  await sql`delete from accounts where kind = 'token'`.execute(db)
  await db.schema.alterTable('accounts').dropConstraint('accounts_kind').execute()
  await db.schema.alterTable('accounts').dropColumn('kind').execute()
  await db.schema
    .alterTable('accounts')
    .addCheckConstraint('accounts_password', sql`directory = (password_hash is null)`)
    .execute()
}
