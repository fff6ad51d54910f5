import type { Kysely } from 'kysely'
import { sql } from 'kysely'

/** Accounts of people who sign in at an OpenID Connect provider. */
export async function up(db: Kysely<any>): Promise<void> {
  await db.schema.alterTable('accounts').addColumn('provider', 'text').execute()
  await db.schema.alterTable('accounts').dropConstraint('accounts_kind').execute()
  await db.schema
    .alterTable('accounts')
    .addCheckConstraint(
      'accounts_kind',
      sql`case kind
        when 'user' then (directory or provider is not null) = (password_hash is null)
          and not (directory and provider is not null)
        when 'token' then role = 'user' and namespaces = '{}' and not directory and password_hash is null
          and provider is null
        else false end`,
    )
    .execute()

  // The person at the provider to whom an account belongs.
  await db.schema
    .createTable('provider_identities')
    .addColumn('issuer', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('account_id', 'uuid', (column) =>
      column.notNull().unique().references('accounts.id').onDelete('cascade'),
    )
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addPrimaryKeyConstraint('provider_identities_pkey', ['issuer', 'subject'])
    .execute()

  // Sign-ins that have begun. The provider got the state. A cookie in the browser has the secret whose hash is
  // `browser_hash`.
  await db.schema
    .createTable('provider_sign_ins')
    .addColumn('state_hash', 'bytea', (column) => column.primaryKey())
    .addColumn('browser_hash', 'bytea', (column) => column.notNull())
    .addColumn('provider', 'text', (column) => column.notNull())
    .addColumn('nonce', 'text', (column) => column.notNull())
    .addColumn('code_verifier', 'text', (column) => column.notNull())
    .addColumn('return_to', 'text')
    .addColumn('expires_at', 'timestamptz', (column) => column.notNull())
    .execute()
  await db.schema
    .createIndex('provider_sign_ins_by_expiry')
    .on('provider_sign_ins')
    .column('expires_at')
    .execute()

  // Logout tokens that were used, until they expire.
  await db.schema
    .createTable('provider_logouts')
    .addColumn('issuer', 'text', (column) => column.notNull())
    .addColumn('jti', 'text', (column) => column.notNull())
    .addColumn('expires_at', 'timestamptz', (column) => column.notNull())
    .addPrimaryKeyConstraint('provider_logouts_pkey', ['issuer', 'jti'])
    .execute()
  await db.schema
    .createIndex('provider_logouts_by_expiry')
    .on('provider_logouts')
    .column('expires_at')
    .execute()

  // The provider's session (`sid`) that a browser session belongs to.
  await db.schema
    .alterTable('browser_sessions')
    .addColumn('provider', 'text')
    .addColumn('provider_session', 'text')
    .execute()
  await db.schema
    .createIndex('browser_sessions_by_provider_session')
    .on('browser_sessions')
    .columns(['provider', 'provider_session'])
    .where(sql.ref('provider_session'), 'is not', null)
    .execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  await db.schema.dropIndex('browser_sessions_by_provider_session').execute()
  for (const column of ['provider', 'provider_session']) {
    await db.schema.alterTable('browser_sessions').dropColumn(column).execute()
  }
  for (const table of ['provider_logouts', 'provider_sign_ins', 'provider_identities']) {
    await db.schema.dropTable(table).execute()
  }
  await sql`delete from accounts where provider is not null`.execute(db)
  await db.schema.alterTable('accounts').dropConstraint('accounts_kind').execute()
  await db.schema.alterTable('accounts').dropColumn('provider').execute()
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
}
