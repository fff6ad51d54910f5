import type { Kysely } from 'kysely'
import { sql } from 'kysely'

const COUNTS = ['stored', 'known', 'condemned', 'recent', 'unknown']

/** Listings of the registry's storage, and the blobs that a listing found and nothing knows. */
export async function up(db: Kysely<any>): Promise<void> {
  let listings = db.schema
    .createTable('collection_listings')
    .addColumn('id', 'uuid', (column) => column.primaryKey().defaultTo(sql`gen_random_uuid()`))
    .addColumn('worker', 'text', (column) => column.notNull())
    .addColumn('began_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn('leased_until', 'timestamptz', (column) => column.notNull())
    .addColumn('ended_at', 'timestamptz')
    // Identifies the last page: a worker sends a page again if the response was lost.
    .addColumn('last_page', 'text')
  for (const name of COUNTS) {
    listings = listings
      .addColumn(`${name}_blobs`, 'bigint', (column) => column.notNull().defaultTo(0))
      .addColumn(`${name}_bytes`, 'numeric', (column) => column.notNull().defaultTo(0))
  }
  await listings
    .addColumn('uploads', 'bigint', (column) => column.notNull().defaultTo(0))
    .addColumn('upload_bytes', 'numeric', (column) => column.notNull().defaultTo(0))
    .execute()

  await db.schema
    .createTable('unknown_blobs')
    .addColumn('digest', sql`text collate "C"`, (column) => column.primaryKey())
    .addColumn('bytes', 'bigint', (column) => column.notNull())
    .addColumn('modified_at', 'timestamptz', (column) => column.notNull())
    // The last listing that has found it.
    .addColumn('listing', 'uuid', (column) => column.notNull())
    // Whether a link in the storage names it.
    .addColumn('linked', 'boolean', (column) => column.notNull().defaultTo(false))
    // How many complete listings in a row have found it, without a link and older than the grace period.
    .addColumn('listings', 'integer', (column) => column.notNull().defaultTo(0))
    // The last listing that has counted it.
    .addColumn('settled', 'uuid')
    .execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  for (const table of ['unknown_blobs', 'collection_listings']) await db.schema.dropTable(table).execute()
}
