import { readdir } from 'node:fs/promises'
import type { Migration } from 'kysely/migration'
import { Migrator } from 'kysely/migration'
import { sql } from 'kysely'
import t from 'tap'
import type { Database } from '../src/connect.ts'
import { connectPostgres } from '../src/connect.ts'
import { migrateToLatest } from '../src/migrate.ts'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { startPostgres } from '@registry-manager/testing/real-postgres'

const FOLDER = new URL('../src/migrations/', import.meta.url)

/** The migrations of all files in the folder. */
async function readMigrations(): Promise<Record<string, Migration>> {
  const files = (await readdir(FOLDER)).toSorted()
  const load = async (file: string) => [file.replace(/\.ts$/, ''), await import(new URL(file, FOLDER).href)]
  return Object.fromEntries(await Promise.all(files.map(load)))
}

/** Tables, columns, indexes, constraints and sequences, as the database describes them. */
async function describe(db: Database): Promise<readonly string[]> {
  const { rows } = await sql<{ line: string }>`
    select table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' '
      || coalesce(column_default, '') || ' ' || coalesce(collation_name, '') as line
      from information_schema.columns where table_schema = 'public'
    union all select indexdef from pg_indexes where schemaname = 'public'
    union all select conrelid::regclass || ' ' || pg_get_constraintdef(oid) from pg_constraint
      where connamespace = 'public'::regnamespace and contype <> 'n'
    union all select 'sequence ' || sequencename from pg_sequences where schemaname = 'public'
    order by 1`.execute(db)
  return rows.map(({ line }) => line).filter((line) => !line.includes('kysely_migration'))
}

await onBothDatabases(t, async (t, db) => {
  const migrations = await readMigrations()
  const names = Object.keys(migrations)
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
  const before = await describe(db)
  t.ok(before.length > 20, 'the schema has columns')

  t.test('migrating an up-to-date schema changes nothing', async (t) => {
    t.same(await migrateToLatest(db), [])
    t.same(
      (await migrator.getMigrations()).map(({ name }) => name),
      names,
      'every file is a known migration',
    )
  })

  t.test('migrating down step by step removes the whole schema', async (t) => {
    for (const name of names.toReversed()) {
      const { error, results } = await migrator.migrateDown()
      t.equal(error, undefined)
      t.match(results, [{ migrationName: name, direction: 'Down', status: 'Success' }])
    }
    t.same(await describe(db), [])
  })

  t.test('migrating up again restores the same schema', async (t) => {
    t.same(await migrateToLatest(db), names)
    t.same(await describe(db), before)
  })
})

t.test('processes that migrate at the same time run each migration once', async (t) => {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const connections = [1, 2, 3].map(() => connectPostgres(postgres.url))
  t.teardown(() => Promise.all(connections.map((db) => db.destroy())))
  const ran = await Promise.all(connections.map(migrateToLatest))
  t.same(ran.flat(), Object.keys(await readMigrations()), 'each migration ran in one process')
})

t.test('the schema of a later version stays unchanged, so that a rollback works', async (t) => {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  await migrateToLatest(db)
  await sql`insert into kysely_migration values ('9999-12-31-later', now()::text)`.execute(db)
  t.same(await migrateToLatest(db), [])
})
