import type { Kysely } from 'kysely'
import { sql } from 'kysely'

/** Byte order, as in the registry's own lists: pages do not depend on the database's locale. */
const name = sql`text collate "C"`

export async function up(db: Kysely<any>): Promise<void> {
  await db.schema
    .createTable('repositories')
    .addColumn('id', 'uuid', (column) => column.primaryKey().defaultTo(sql`gen_random_uuid()`))
    .addColumn('name', name, (column) => column.notNull().unique())
    .addColumn('scope', 'text', (column) =>
      column
        .notNull()
        .defaultTo('namespace')
        .check(sql`scope in ('namespace', 'global')`),
    )
    // Set while the repository is being deleted: readers treat it as absent, and an interrupted deletion can be
    // resumed.
    .addColumn('deleting_since', 'timestamptz')
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn('updated_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute()
  await db.schema
    .createIndex('repositories_global')
    .on('repositories')
    .column('name')
    .where(sql.ref('scope'), '=', 'global')
    .execute()

  await db.schema
    .createTable('manifests')
    .addColumn('repository_id', 'uuid', (column) =>
      column.notNull().references('repositories.id').onDelete('cascade'),
    )
    .addColumn('digest', name, (column) => column.notNull())
    .addColumn('media_type', 'text', (column) => column.notNull())
    .addColumn('artifact_type', 'text')
    .addColumn('subject', name)
    .addColumn('annotations', 'jsonb')
    // The manifest as it was pushed.
    .addColumn('raw', 'bytea', (column) => column.notNull())
    .addColumn('pushed_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addPrimaryKeyConstraint('manifests_key', ['repository_id', 'digest'])
    .execute()
  await db.schema
    .createIndex('manifests_by_subject')
    .on('manifests')
    .columns(['repository_id', 'subject'])
    .where(sql.ref('subject'), 'is not', null)
    .execute()

  await sql`create sequence tag_revisions as integer`.execute(db)
  await db.schema
    .createTable('tags')
    .addColumn('repository_id', 'uuid', (column) => column.notNull())
    .addColumn('name', name, (column) => column.notNull())
    .addColumn('digest', name, (column) => column.notNull())
    // Changes with every write (compare-and-set): two processes that read the registry cannot store their results in
    // the wrong order. From a sequence: a tag that is deleted and pushed again gets a revision that it never had.
    .addColumn('revision', 'integer', (column) => column.notNull().defaultTo(sql`nextval('tag_revisions')`))
    .addColumn('updated_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addPrimaryKeyConstraint('tags_key', ['repository_id', 'name'])
    .addForeignKeyConstraint(
      'tags_manifest',
      ['repository_id', 'digest'],
      'manifests',
      ['repository_id', 'digest'],
      (constraint) => constraint.onDelete('cascade'),
    )
    .execute()
  await db.schema.createIndex('tags_by_digest').on('tags').columns(['repository_id', 'digest']).execute()

  // The digests that a manifest references: its config, its layers, or the manifests of an image index.
  await db.schema
    .createTable('manifest_references')
    .addColumn('repository_id', 'uuid', (column) => column.notNull())
    .addColumn('manifest_digest', name, (column) => column.notNull())
    .addColumn('digest', name, (column) => column.notNull())
    .addColumn('kind', 'text', (column) =>
      column.notNull().check(sql`kind in ('config', 'layer', 'manifest')`),
    )
    .addPrimaryKeyConstraint('manifest_references_key', [
      'repository_id',
      'manifest_digest',
      'digest',
      'kind',
    ])
    .addForeignKeyConstraint(
      'manifest_references_manifest',
      ['repository_id', 'manifest_digest'],
      'manifests',
      ['repository_id', 'digest'],
      (constraint) => constraint.onDelete('cascade'),
    )
    .execute()

  // Pending pushes. The registry's state decides their outcome.
  await db.schema
    .createTable('admissions')
    .addColumn('id', 'uuid', (column) => column.primaryKey().defaultTo(sql`gen_random_uuid()`))
    .addColumn('repository', name, (column) => column.notNull())
    .addColumn('digest', name, (column) => column.notNull())
    .addColumn('tag', name)
    .addColumn('media_type', 'text', (column) => column.notNull())
    .addColumn('raw', 'bytea', (column) => column.notNull())
    .addColumn('admitted_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  for (const table of ['admissions', 'manifest_references', 'tags', 'manifests', 'repositories']) {
    await db.schema.dropTable(table).execute()
  }
  await sql`drop sequence tag_revisions`.execute(db)
}
