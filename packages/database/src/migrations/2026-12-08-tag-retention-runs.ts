import type { Kysely } from 'kysely'
import { sql } from 'kysely'

/** Runs of retention, each with its position, so that another process can resume. */
export async function up(db: Kysely<any>): Promise<void> {
  await db.schema
    .createTable('retention_runs')
    .addColumn('id', 'uuid', (column) => column.primaryKey().defaultTo(sql`gen_random_uuid()`))
    .addColumn('started_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn('finished_at', 'timestamptz')
    // The last repository that is done; null at the beginning.
    .addColumn('last_name', sql`text collate "C"`)
    // The process that holds the lease, and when the lease expires.
    .addColumn('holder', 'uuid', (column) => column.notNull())
    .addColumn('leased_until', 'timestamptz', (column) => column.notNull())
    .execute()
  // At most one run is unfinished.
  await sql`create unique index retention_runs_open on retention_runs ((true)) where finished_at is null`.execute(
    db,
  )
  // What a run has done in each namespace that covers a repository.
  await db.schema
    .createTable('retention_run_counts')
    .addColumn('run_id', 'uuid', (column) =>
      column.notNull().references('retention_runs.id').onDelete('cascade'),
    )
    .addColumn('namespace', sql`text collate "C"`, (column) => column.notNull())
    .addColumn('repositories', 'integer', (column) => column.notNull())
    .addColumn('tags', 'integer', (column) => column.notNull())
    .addColumn('manifests', 'integer', (column) => column.notNull())
    .addColumn('failures', 'integer', (column) => column.notNull())
    .addPrimaryKeyConstraint('retention_run_counts_pkey', ['run_id', 'namespace'])
    .execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  for (const table of ['retention_run_counts', 'retention_runs']) await db.schema.dropTable(table).execute()
}
