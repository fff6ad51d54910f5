import type { Kysely } from 'kysely'
import { sql } from 'kysely'

const digest = sql`text collate "C"`

export async function up(db: Kysely<any>): Promise<void> {
  await db.schema
    .alterTable('manifests')
    // Its other name, for who asks by that one. Made by the database from the bytes, so it is always right.
    .addColumn('sha512', digest, (column) =>
      column.generatedAlwaysAs(sql`'sha512:' || encode(sha512(raw), 'hex')`).stored(),
    )
    // Whether it is here alone: an index that the registry cannot take.
    .addColumn('kept', 'boolean', (column) => column.notNull().defaultTo(false))
    .execute()
  await db.schema
    .createIndex('manifests_by_sha512')
    .on('manifests')
    .columns(['repository_id', 'sha512'])
    .execute()

  // Blobs that were pushed by a sha512 digest, and how the registry calls them. By the repository's name: they
  // come before the repository's first manifest.
  await db.schema
    .createTable('blob_aliases')
    .addColumn('repository', digest, (column) => column.notNull())
    .addColumn('sha512', digest, (column) => column.notNull())
    .addColumn('sha256', digest, (column) => column.notNull())
    .addPrimaryKeyConstraint('blob_aliases_key', ['repository', 'sha512'])
    .execute()
  await db.schema
    .createIndex('blob_aliases_by_sha256')
    .on('blob_aliases')
    .columns(['repository', 'sha256'])
    .execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  await db.schema.dropTable('blob_aliases').execute()
  await db.schema.alterTable('manifests').dropColumn('kept').dropColumn('sha512').execute()
}
