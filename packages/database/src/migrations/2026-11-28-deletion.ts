import type { Kysely } from 'kysely'
import { sql } from 'kysely'

/** Byte order, as in all tables of the index. */
const name = sql`text collate "C"`

export async function up(db: Kysely<any>): Promise<void> {
  // Blobs that were uploaded or mounted into a repository, whether or not a manifest references them. Keyed by the
  // repository's name: blobs arrive before the repository's first manifest and stay after its last one.
  await db.schema
    .createTable('repository_blobs')
    .addColumn('repository', name, (column) => column.notNull())
    .addColumn('digest', name, (column) => column.notNull())
    // When registry-proxy last authorized an upload or a mount of the blob.
    .addColumn('announced_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    // Set when a deletion left the blob without a reference: the blob is an orphan and is deleted, unless it is
    // referenced or uploaded again.
    .addColumn('orphaned_at', 'timestamptz')
    .addPrimaryKeyConstraint('repository_blobs_key', ['repository', 'digest'])
    .execute()
  await db.schema
    .createIndex('repository_blobs_orphaned')
    .on('repository_blobs')
    .column('orphaned_at')
    .where(sql.ref('orphaned_at'), 'is not', null)
    .execute()

  // Manifests and blobs that a deletion is removing from the registry now: no manifest may reference them until the row
  // is deleted, or is older than the longest removal. Each removal has its own rows.
  await db.schema
    .createTable('pending_removals')
    .addColumn('removal', 'uuid', (column) => column.notNull())
    .addColumn('repository', name, (column) => column.notNull())
    .addColumn('digest', name, (column) => column.notNull())
    .addColumn('since', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addPrimaryKeyConstraint('pending_removals_key', ['repository', 'digest', 'removal'])
    .execute()

  // The digests that a pending manifest references. Null if a previous version of image-manager wrote the row: such a
  // manifest counts as a reference to every blob.
  await db.schema
    .alterTable('admissions')
    .addColumn('digests', sql`text[]`)
    .execute()
  await db.schema.createIndex('admissions_by_repository').on('admissions').column('repository').execute()

  // Finds out whether a blob or a manifest is still referenced.
  await db.schema
    .createIndex('manifest_references_by_repository')
    .on('manifest_references')
    .columns(['repository_id', 'digest'])
    .execute()

  await sql`create sequence repository_numbers as integer`.execute(db)
  await db.schema
    .alterTable('repositories')
    // A client deleted the last manifest: the repository stays in lists, without tags, until it is deleted itself.
    .addColumn('keep_empty', 'boolean', (column) => column.notNull().defaultTo(false))
    // Identifies the repository in tokens that were granted because it is global; shorter than its id, never reused.
    .addColumn('number', 'integer', (column) =>
      column.notNull().defaultTo(sql`nextval('repository_numbers')`),
    )
    // How many times the repository has stopped being global.
    .addColumn('global_generation', 'integer', (column) => column.notNull().defaultTo(0))
    .execute()
  // Repositories that stopped being global: tokens that were granted before contain a smaller generation. Rows outlive
  // their repository, and are deleted when all such tokens have expired.
  await db.schema
    .createTable('ended_globals')
    .addColumn('number', 'integer', (column) => column.primaryKey())
    .addColumn('least_generation', 'integer', (column) => column.notNull())
    .addColumn('ended_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  await db.schema.dropTable('ended_globals').execute()
  for (const column of ['keep_empty', 'number', 'global_generation']) {
    await db.schema.alterTable('repositories').dropColumn(column).execute()
  }
  await sql`drop sequence repository_numbers`.execute(db)
  await db.schema.dropIndex('manifest_references_by_repository').execute()
  await db.schema.dropIndex('admissions_by_repository').execute()
  await db.schema.alterTable('admissions').dropColumn('digests').execute()
  await db.schema.dropTable('pending_removals').execute()
  await db.schema.dropTable('repository_blobs').execute()
}
