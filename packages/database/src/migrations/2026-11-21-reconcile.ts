import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export async function up(db: Kysely<any>): Promise<void> {
  // Changes whenever the manifest is recorded. A process that got 404 from the registry removes the row only if the
  // revision is unchanged since before its request.
  await db.schema
    .alterTable('manifests')
    .addColumn('revision', 'integer', (column) => column.notNull().defaultTo(sql`nextval('tag_revisions')`))
    .execute()
  // When the repository was last compared with the registry.
  await db.schema.alterTable('repositories').addColumn('reconciled_at', 'timestamptz').execute()
  await db.schema
    .createIndex('repositories_deleting')
    .on('repositories')
    .column('deleting_since')
    .where(sql.ref('deleting_since'), 'is not', null)
    .execute()

  // Reconcile runs, each with its position, so that another process can resume.
  await db.schema
    .createTable('reconciliations')
    .addColumn('id', 'uuid', (column) => column.primaryKey().defaultTo(sql`gen_random_uuid()`))
    .addColumn('started_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn('finished_at', 'timestamptz')
    .addColumn('step', 'text', (column) =>
      column
        .notNull()
        .defaultTo('registry')
        .check(sql`step in ('registry', 'index')`),
    )
    // The last repository of the registry's catalog that was compared; null at the beginning.
    .addColumn('last_name', sql`text collate "C"`)
    .addColumn('counts', 'jsonb', (column) => column.notNull().defaultTo(sql`'{}'`))
    // The process that holds the lease, and when the lease expires.
    .addColumn('holder', 'uuid', (column) => column.notNull())
    .addColumn('leased_until', 'timestamptz', (column) => column.notNull())
    .execute()
  // At most one run is unfinished.
  await sql`create unique index reconciliations_open on reconciliations ((true)) where finished_at is null`.execute(
    db,
  )
}

export async function down(db: Kysely<any>): Promise<void> {
  await db.schema.dropTable('reconciliations').execute()
  await db.schema.dropIndex('repositories_deleting').execute()
  await db.schema.alterTable('repositories').dropColumn('reconciled_at').execute()
  await db.schema.alterTable('manifests').dropColumn('revision').execute()
}
