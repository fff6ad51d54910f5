import type { Kysely } from 'kysely'
import { sql } from 'kysely'

/** Byte order, as in all tables of the index. */
const name = sql`text collate "C"`

export async function up(db: Kysely<any>): Promise<void> {
  // Work that outlives its request keeps the request's context: its event names who asked for it.
  await db.schema
    .alterTable('admissions')
    .addColumn('context', 'jsonb')
    // The digest that the tag had when the push was announced.
    .addColumn('replaced', name)
    .execute()

  // One request has one event of a kind, also if nginx or a service repeats it.
  await db.schema
    .createIndex('events_by_request_id')
    .on('events')
    .column('request_id')
    .where('request_id', 'is not', null)
    .execute()

  // Deletions that clients requested and whose outcome is not recorded yet.
  await db.schema
    .createTable('requested_deletions')
    .addColumn('id', 'uuid', (column) => column.primaryKey().defaultTo(sql`gen_random_uuid()`))
    .addColumn('target', 'jsonb', (column) => column.notNull())
    // Whether it existed before, and the tags that the manifest had.
    .addColumn('existed', 'boolean', (column) => column.notNull())
    .addColumn('tags', sql`text[]`, (column) => column.notNull())
    .addColumn('context', 'jsonb')
    .addColumn('requested_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  await db.schema.dropTable('requested_deletions').execute()
  await db.schema.dropIndex('events_by_request_id').execute()
  await db.schema.alterTable('admissions').dropColumn('context').dropColumn('replaced').execute()
}
