import type { Kysely } from 'kysely'
import { sql } from 'kysely'

const text = sql`text collate "C"`

/**
 * How often tags and manifests were pulled, and when they were last. The rows are not columns of `tags` and
 * `all_manifests`: a pull would lock what a push changes, and would run the triggers of these tables. They have no
 * foreign keys for the same reason. image-manager deletes the rows of what has been gone for a month.
 */
export async function up(db: Kysely<any>): Promise<void> {
  await db.schema
    .createTable('tag_pulls')
    .addColumn('repository_id', 'uuid', (column) => column.notNull())
    .addColumn('tag', text, (column) => column.notNull())
    .addColumn('pulls', 'bigint', (column) => column.notNull())
    .addColumn('last_pulled_at', 'timestamptz', (column) => column.notNull())
    .addPrimaryKeyConstraint('tag_pulls_pkey', ['repository_id', 'tag'])
    .execute()
  await db.schema
    .createTable('manifest_pulls')
    .addColumn('repository_id', 'uuid', (column) => column.notNull())
    .addColumn('digest', text, (column) => column.notNull())
    .addColumn('pulls', 'bigint', (column) => column.notNull())
    .addColumn('last_pulled_at', 'timestamptz', (column) => column.notNull())
    .addPrimaryKeyConstraint('manifest_pulls_pkey', ['repository_id', 'digest'])
    .execute()
  // No index contains the columns that change, so Postgres updates a row in its page (HOT) if the page has room.
  for (const table of ['tag_pulls', 'manifest_pulls'])
    await sql`alter table ${sql.table(table)} set (fillfactor = 70)`.execute(db)
  // The batches of counts that were added: a batch that is sent again is not added again.
  await db.schema
    .createTable('pull_batches')
    .addColumn('id', 'uuid', (column) => column.primaryKey())
    .addColumn('added_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  for (const table of ['pull_batches', 'manifest_pulls', 'tag_pulls']) {
    await db.schema.dropTable(table).execute()
  }
}
