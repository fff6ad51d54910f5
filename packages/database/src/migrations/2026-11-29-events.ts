import type { Kysely } from 'kysely'
import { sql } from 'kysely'

/** Byte order, as in all tables of the index. */
const name = sql`text collate "C"`

export async function up(db: Kysely<any>): Promise<void> {
  // Who did what, to which target, from where, and with what outcome. Rows are only added, and removed by age. Accounts
  // and repositories are named by value, because an event outlives them.
  await db.schema
    .createTable('events')
    .addColumn('id', 'bigint', (column) => column.primaryKey().generatedAlwaysAsIdentity())
    .addColumn('time', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn('action', name, (column) => column.notNull())
    .addColumn('outcome', name, (column) => column.notNull())
    .addColumn('principal_kind', name, (column) => column.notNull())
    .addColumn('principal_id', name)
    .addColumn('principal_name', name)
    .addColumn('address', name)
    .addColumn('request_id', name)
    .addColumn('target', 'jsonb', (column) => column.notNull())
    // Parts of the target that events are filtered by.
    .addColumn('repository', name)
    .addColumn('account_id', name)
    .addColumn('account_name', name)
    .addColumn('detail', 'jsonb', (column) => column.notNull().defaultTo(sql`'{}'::jsonb`))
    .execute()

  // A page of events is the newest ones with one filter: an index for each filter, in the order of pages.
  await db.schema.createIndex('events_by_time').on('events').columns(['time', 'id']).execute()
  await db.schema.createIndex('events_by_action').on('events').columns(['action', 'time', 'id']).execute()
  for (const column of ['principal_id', 'principal_name', 'repository', 'account_id', 'account_name']) {
    await db.schema
      .createIndex(`events_by_${column}`)
      .on('events')
      .columns([column, 'time', 'id'])
      .where(sql.ref(column), 'is not', null)
      .execute()
  }
  // Nearly all events are done.
  await db.schema
    .createIndex('events_by_outcome')
    .on('events')
    .columns(['outcome', 'time', 'id'])
    .where('outcome', '<>', 'done')
    .execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  await db.schema.dropTable('events').execute()
}
