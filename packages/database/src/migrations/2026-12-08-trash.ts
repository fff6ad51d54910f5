import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import { lockTables } from '../lock-tables.ts'

/** Byte order, as in all tables of the index. */
const name = sql`text collate "C"`

/**
 * Deleted manifests and repositories lie in the trash (decision 45). Their manifests are rows of a repository whose
 * name is reserved. The views hide both from all readers, those of the previous version included.
 */
export async function up(db: Kysely<any>): Promise<void> {
  // `tags` and `manifest_references`, too: the migrations before this one may run in the same transaction.
  const tables = ['all_repositories', 'all_manifests', 'manifest_references', 'tags']
  await lockTables(db, tables, 'access exclusive')
  await db.schema
    .createTable('trash')
    // The manifests are in the repository registry-manager-trash/ID.
    .addColumn('id', 'uuid', (column) => column.primaryKey().defaultTo(sql`gen_random_uuid()`))
    // The order of lists.
    .addColumn('number', 'bigint', (column) => column.notNull().generatedAlwaysAsIdentity())
    // The repository that the content was deleted from, and its id.
    .addColumn('repository', name, (column) => column.notNull())
    .addColumn('repository_id', 'uuid', (column) => column.notNull())
    .addColumn('kind', 'text', (column) =>
      column
        .notNull()
        .check(sql`(kind = 'manifest') = (digest is not null) and kind in ('manifest', 'repository')`),
    )
    // The deleted manifest.
    .addColumn('digest', name)
    .addColumn('state', 'text', (column) =>
      column.notNull().check(sql`state in ('filling', 'filled', 'kept', 'restoring', 'emptying')`),
    )
    // How long the content is kept.
    .addColumn('days', 'float8', (column) => column.notNull())
    .addColumn('deleted_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn('deleted_by', 'jsonb')
    // Set when the deletion has ended.
    .addColumn('expires_at', 'timestamptz')
    // When a process last worked on the entry.
    .addColumn('claimed_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute()
  // The lists of namespaces, and the list of everything.
  await sql`
    create index trash_by_namespace on trash (split_part(repository, '/', 1), number)
    where state in ('kept', 'restoring')`.execute(db)
  await sql`create index trash_listed on trash (number) where state in ('kept', 'restoring')`.execute(db)
  await sql`create index trash_by_expiry on trash (expires_at) where state = 'kept'`.execute(db)
  await sql`create index trash_in_work on trash (claimed_at) where state <> 'kept'`.execute(db)
  // Several processes may finish one deletion of a repository.
  await sql`
    create unique index trash_of_repository on trash (repository_id)
    where kind = 'repository' and state = 'filling'`.execute(db)

  await db.schema
    .createTable('trash_tags')
    .addColumn('trash_id', 'uuid', (column) => column.notNull().references('trash.id').onDelete('cascade'))
    .addColumn('tag', name, (column) => column.notNull())
    .addColumn('digest', name, (column) => column.notNull())
    .addPrimaryKeyConstraint('trash_tags_key', ['trash_id', 'tag'])
    .execute()

  // Not valid: Postgres would read the whole table to check it. All rows have one of the states.
  await sql`
    alter table all_manifests drop constraint all_manifests_state, add constraint all_manifests_state
    check (state in ('pending', 'recorded', 'index-only', 'moving', 'trashed', 'restored')) not valid`.execute(
    db,
  )
  await sql`
    create index all_manifests_trashed on all_manifests (repository_id, digest)
    where state in ('moving', 'trashed', 'restored')`.execute(db)
  await replaceViews(
    db,
    sql`(not pending or deleting_since is not null) and not starts_with(name, 'registry-manager-trash/')`,
    sql`state in ('recorded', 'index-only')`,
  )
}

/** Replaces the conditions of the views `repositories` and `manifests`. */
async function replaceViews(
  db: Kysely<any>,
  isRepository: ReturnType<typeof sql>,
  isManifest: ReturnType<typeof sql>,
): Promise<void> {
  await sql`
    create or replace view repositories as
    select id, name, scope, deleting_since, created_at, updated_at, reconciled_at, keep_empty, number,
      global_generation
    from all_repositories where ${isRepository}`.execute(db)
  await sql`
    create or replace view manifests as
    select repository_id, digest, media_type, artifact_type, subject, annotations, raw, pushed_at, revision, sha512,
      kept, size, state, revision_id
    from all_manifests where ${isManifest}`.execute(db)
}

export async function down(db: Kysely<any>): Promise<void> {
  await replaceViews(db, sql`not pending or deleting_since is not null`, sql`state <> 'pending'`)
  // What lies in the trash is lost: the previous version would show it.
  await sql`delete from all_repositories where starts_with(name, 'registry-manager-trash/')`.execute(db)
  await db.schema.dropIndex('all_manifests_trashed').execute()
  await sql`
    alter table all_manifests drop constraint all_manifests_state, add constraint all_manifests_state
    check (state in ('pending', 'recorded', 'index-only')) not valid`.execute(db)
  for (const table of ['trash_tags', 'trash']) await db.schema.dropTable(table).execute()
}
