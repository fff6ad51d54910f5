import type { Kysely } from 'kysely'
import { sql } from 'kysely'

/**
 * The rules that make tags immutable. The previous version does not know them: while its processes still run, a push or
 * a deletion that one of them handles is not refused.
 */
export async function up(db: Kysely<any>): Promise<void> {
  await db.schema
    .createTable('tag_rules')
    .addColumn('namespace', sql`text collate "C"`, (column) => column.primaryKey())
    // An array of all rules of the namespace. Pushes read it, and management replaces it as a whole.
    .addColumn('rules', 'jsonb', (column) => column.notNull())
    .addColumn('updated_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  await db.schema.dropTable('tag_rules').execute()
}
