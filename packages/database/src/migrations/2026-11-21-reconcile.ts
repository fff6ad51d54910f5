import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export async function up(db: Kysely<any>): Promise<void> {
  // New whenever the manifest is written down, so that who asked the registry, and heard that it is gone, takes it
  // away only where nobody wrote it down since before the question.
  await db.schema
    .alterTable('manifests')
    .addColumn('revision', 'integer', (column) => column.notNull().defaultTo(sql`nextval('tag_revisions')`))
    .execute()
  // When it was last compared with the registry.
  await db.schema.alterTable('repositories').addColumn('reconciled_at', 'timestamptz').execute()
  await db.schema
    .createIndex('repositories_deleting')
    .on('repositories')
    .column('deleting_since')
    .where(sql.ref('deleting_since'), 'is not', null)
    .execute()

  // Comparisons of the whole index with the registry: where each is, so that the next process can go on there.
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
    // The repository after which the registry's catalog goes on; none at its beginning.
    .addColumn('last_name', sql`text collate "C"`)
    .addColumn('counts', 'jsonb', (column) => column.notNull().defaultTo(sql`'{}'`))
    // Who works on it, and until when it is theirs alone.
    .addColumn('holder', 'uuid', (column) => column.notNull())
    .addColumn('leased_until', 'timestamptz', (column) => column.notNull())
    .execute()
  // One at a time.
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
