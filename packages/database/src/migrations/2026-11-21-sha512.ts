import type { Kysely } from 'kysely'
import { sql } from 'kysely'

const digest = sql`text collate "C"`

export async function up(db: Kysely<any>): Promise<void> {
  await db.schema
    .alterTable('manifests')
    // The sha512 digest, for requests by it; generated from the bytes, so it is always correct.
    .addColumn('sha512', digest, (column) =>
      column.generatedAlwaysAs(sql`'sha512:' || encode(sha512(raw), 'hex')`).stored(),
    )
    // Whether the manifest is index-only: the registry cannot store it.
    .addColumn('kept', 'boolean', (column) => column.notNull().defaultTo(false))
    .execute()
  await db.schema
    .createIndex('manifests_by_sha512')
    .on('manifests')
    .columns(['repository_id', 'sha512'])
    .execute()

  // Blobs that were pushed by a sha512 digest, with the sha256 that the registry has for them. Keyed by the
  // repository's name, because blobs are pushed before the repository's first manifest.
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
