import type { Kysely } from 'kysely'
import { sql } from 'kysely'

/** The rules of retention, which delete tags and manifests. The previous version does not know them. */
export async function up(db: Kysely<any>): Promise<void> {
  await db.schema
    .createTable('retention_rules')
    .addColumn('namespace', sql`text collate "C"`, (column) => column.primaryKey())
    // An array of all rules of the namespace, which management replaces as a whole.
    .addColumn('rules', 'jsonb', (column) => column.notNull())
    .addColumn('updated_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute()
  // When a manifest lost its last tag. The table is new, so the index is built at once.
  await db.schema
    .createIndex('tag_history_by_digest')
    .on('tag_history')
    .columns(['repository_id', 'digest'])
    .execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  await db.schema.dropIndex('tag_history_by_digest').execute()
  await db.schema.dropTable('retention_rules').execute()
}
