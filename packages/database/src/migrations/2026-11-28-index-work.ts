import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export async function up(db: Kysely<any>): Promise<void> {
  // Bytes; null until image-manager has read the manifest. It does so in the background for rows of the previous
  // version. The migration rewrites no rows, because its locks would block pushes.
  await db.schema.alterTable('manifests').addColumn('size', 'bigint').execute()
  await db.schema.alterTable('manifest_references').addColumn('size', 'bigint').execute()
  await db.schema
    .createIndex('manifests_unsized')
    .on('manifests')
    .columns(['repository_id', 'digest'])
    .where(sql.ref('size'), 'is', null)
    .execute()
  // Storage usage counts each digest once, in pages, from these indexes alone.
  await db.schema.createIndex('manifests_by_digest').on('manifests').columns(['digest', 'size']).execute()
  await db.schema
    .createIndex('manifest_references_by_digest')
    .on('manifest_references')
    .columns(['digest', 'kind', 'size'])
    .execute()

  // What was read of a pending manifest, so that nobody needs to read its bytes again.
  await db.schema.alterTable('admissions').addColumn('facts', 'jsonb').execute()

  // Items of background work that failed: how often, why, and when they are tried again.
  await db.schema
    .createTable('background_failures')
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('item', sql`text collate "C"`, (column) => column.notNull())
    .addColumn('repository', sql`text collate "C"`, (column) => column.notNull())
    .addColumn('reference', sql`text collate "C"`, (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addColumn('tries', 'integer', (column) => column.notNull().defaultTo(1))
    .addColumn('first_failed_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn('last_failed_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn('retry_at', 'timestamptz', (column) => column.notNull())
    .addPrimaryKeyConstraint('background_failures_key', ['kind', 'item'])
    .execute()
  await db.schema
    .createIndex('background_failures_by_repository')
    .on('background_failures')
    .column('repository')
    .execute()

  // Revisions are compared for equality alone, and only with one that was read moments before. So the sequence may
  // begin again after 2^31 - 1, and the columns stay integers. A change to bigint would rewrite all manifests under a
  // lock, and the previous version would receive the revisions as strings.
  await sql`alter sequence tag_revisions minvalue 1 maxvalue 2147483647 cycle`.execute(db)
}

export async function down(db: Kysely<any>): Promise<void> {
  await sql`alter sequence tag_revisions no cycle`.execute(db)
  await db.schema.dropTable('background_failures').execute()
  await db.schema.alterTable('admissions').dropColumn('facts').execute()
  await db.schema.dropIndex('manifests_unsized').execute()
  await db.schema.dropIndex('manifests_by_digest').execute()
  await db.schema.dropIndex('manifest_references_by_digest').execute()
  await db.schema.alterTable('manifest_references').dropColumn('size').execute()
  await db.schema.alterTable('manifests').dropColumn('size').execute()
}
