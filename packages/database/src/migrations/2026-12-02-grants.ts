import type { Kysely } from 'kysely'
import { sql } from 'kysely'

/** Byte order, as in all tables that are listed by name. */
const name = sql`text collate "C"`
const id = sql`gen_random_uuid()`

export async function up(db: Kysely<any>): Promise<void> {
  await db.schema
    .createTable('groups')
    .addColumn('id', 'uuid', (column) => column.primaryKey().defaultTo(id))
    .addColumn('name', name, (column) => column.notNull().unique())
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute()

  // Groups of a directory or of an identity provider whose members are members of a group here.
  await db.schema
    .createTable('group_mappings')
    .addColumn('group_id', 'uuid', (column) => column.notNull().references('groups.id').onDelete('cascade'))
    .addColumn('source', name, (column) => column.notNull())
    .addColumn('name', name, (column) => column.notNull())
    .addPrimaryKeyConstraint('group_mappings_pkey', ['group_id', 'source', 'name'])
    .execute()
  await db.schema
    .createIndex('group_mappings_by_name')
    .on('group_mappings')
    .columns(['source', 'name'])
    .execute()

  // The name is that of the mapping that makes an account a member; it is empty for the source `local`.
  await db.schema
    .createTable('group_members')
    .addColumn('group_id', 'uuid', (column) => column.notNull().references('groups.id').onDelete('cascade'))
    .addColumn('account_id', 'uuid', (column) =>
      column.notNull().references('accounts.id').onDelete('cascade'),
    )
    .addColumn('source', name, (column) => column.notNull())
    .addColumn('name', name, (column) => column.notNull().defaultTo(''))
    .addPrimaryKeyConstraint('group_members_pkey', ['group_id', 'account_id', 'source', 'name'])
    .execute()
  // Sign-ins read the groups of an account.
  await db.schema
    .createIndex('group_members_by_account')
    .on('group_members')
    .columns(['account_id', 'group_id'])
    .execute()

  await db.schema
    .createTable('grants')
    .addColumn('id', 'uuid', (column) => column.primaryKey().defaultTo(id))
    // The namespace whose owners manage the grant; * for the whole installation.
    .addColumn('namespace', name, (column) => column.notNull())
    .addColumn('account_id', 'uuid', (column) => column.references('accounts.id').onDelete('cascade'))
    .addColumn('group_id', 'uuid', (column) => column.references('groups.id').onDelete('cascade'))
    .addColumn('repositories', name, (column) => column.notNull())
    .addColumn('role', 'text', (column) =>
      column.check(sql`role in ('reader', 'developer', 'maintainer', 'owner')`),
    )
    .addColumn('actions', sql`text[]`, (column) => column.notNull().defaultTo(sql`'{}'`))
    .addColumn('conditions', 'jsonb')
    .addColumn('created_by', 'text')
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addCheckConstraint('grants_subject', sql`(account_id is null) <> (group_id is null)`)
    .addCheckConstraint('grants_actions', sql`(role is null) <> (actions = '{}')`)
    .execute()
  await db.schema.createIndex('grants_by_namespace').on('grants').columns(['namespace', 'id']).execute()
  for (const column of ['account_id', 'group_id']) {
    await db.schema
      .createIndex(`grants_by_${column}`)
      .on('grants')
      .column(column)
      .where(sql.ref(column), 'is not', null)
      .execute()
  }
}

export async function down(db: Kysely<any>): Promise<void> {
  for (const table of ['grants', 'group_members', 'group_mappings', 'groups']) {
    await db.schema.dropTable(table).execute()
  }
}
