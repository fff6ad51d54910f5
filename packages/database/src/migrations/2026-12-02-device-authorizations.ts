import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export async function up(db: Kysely<any>): Promise<void> {
  // Devices that wait until a person confirms their code (RFC 8628).
  await db.schema
    .createTable('device_authorizations')
    .addColumn('device_code_hash', 'bytea', (column) => column.primaryKey())
    .addColumn('user_code', 'text', (column) => column.notNull().unique())
    .addColumn('client_name', 'text', (column) => column.notNull())
    .addColumn('address', 'text', (column) => column.notNull())
    .addColumn('status', 'text', (column) =>
      column
        .notNull()
        .defaultTo('pending')
        .check(sql`status in ('pending', 'approved', 'denied')`),
    )
    .addColumn('account_id', 'uuid', (column) => column.references('accounts.id').onDelete('cascade'))
    .addColumn('generation', 'integer')
    .addColumn('interval_seconds', 'integer', (column) => column.notNull())
    .addColumn('polled_at', 'timestamptz')
    .addColumn('expires_at', 'timestamptz', (column) => column.notNull())
    .addCheckConstraint(
      'device_authorizations_approved',
      sql`(status = 'approved') = (account_id is not null and generation is not null)`,
    )
    .execute()
  await db.schema
    .createIndex('device_authorizations_by_account')
    .on('device_authorizations')
    .column('account_id')
    .execute()
  await db.schema
    .createIndex('device_authorizations_by_expiry')
    .on('device_authorizations')
    .column('expires_at')
    .execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  await db.schema.dropTable('device_authorizations').execute()
}
