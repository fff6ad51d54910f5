import type { Kysely } from 'kysely'
import { sql } from 'kysely'

const COLUMNS = [
  'directory_dn',
  'directory_state',
  'directory_role',
  'directory_namespaces',
  'directory_checked_at',
]

export async function up(db: Kysely<any>): Promise<void> {
  await db.schema
    .alterTable('accounts')
    .addColumn('directory_dn', 'text')
    .addColumn('directory_state', 'text', (column) =>
      column.check(sql`directory_state in ('active', 'disabled', 'expired', 'locked', 'gone', 'ambiguous')`),
    )
    .addColumn('directory_role', 'text', (column) =>
      column.check(sql`directory_role in ('cluster-administrator', 'administrator', 'user')`),
    )
    .addColumn('directory_namespaces', sql`text[]`, (column) => column.notNull().defaultTo(sql`'{}'`))
    .addColumn('directory_checked_at', 'timestamptz')
    .execute()
  // For the refresh of directory accounts: the account that was checked least recently comes first.
  await db.schema
    .createIndex('accounts_by_directory_check')
    .on('accounts')
    .column('directory_checked_at')
    .where(sql.ref('directory'), '=', true)
    .execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  await db.schema.dropIndex('accounts_by_directory_check').execute()
  for (const column of COLUMNS) await db.schema.alterTable('accounts').dropColumn(column).execute()
}
