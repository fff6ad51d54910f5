import { sql } from 'kysely'
import type { Test } from 'tap'
import t from 'tap'
import type { Database } from '../../database/src/connect.ts'
import { MIGRATING, connectPostgres } from '../../database/src/connect.ts'
import { finishedMigrations, migrateToLatest, pendingMigrations } from '../../database/src/migrate.ts'
import { pgliteForTest } from '../src/pglite.ts'
import { startMigratedPostgres, startPostgres } from '../src/real-postgres.ts'

/** Columns, indexes, constraints, triggers and functions of the schema, and every row and sequence. */
async function contents(db: Database): Promise<readonly string[]> {
  const described = await sql<{ text: string }>`
    select format('%s.%s %s %s %s', table_name, column_name, data_type, column_default, is_nullable) as text
      from information_schema.columns where table_schema = 'public'
    union all select indexdef from pg_indexes where schemaname = 'public'
    union all select conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
      from pg_constraint where connamespace = 'public'::regnamespace
    union all select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
    union all select proname || ' ' || prosrc from pg_proc where pronamespace = 'public'::regnamespace
    union all select sequencename || ' ' || coalesce(last_value::text, 'unused') from pg_sequences`.execute(
    db,
  )
  // The times at which the migrations ran differ.
  const tables = await sql<{ name: string }>`
    select relname as name from pg_class
    where relkind = 'r' and relnamespace = 'public'::regnamespace and relname <> 'kysely_migration'`.execute(
    db,
  )
  const rows = tables.rows.map(async ({ name }) => {
    const found = await sql<{
      text: string
    }>`select row.*::text as text from ${sql.table(name)} as row`.execute(db)
    return found.rows.map(({ text }) => `${name} ${text}`)
  })
  return [
    ...described.rows.map(({ text }) => text),
    ...(await Promise.all(rows)).flat(),
    ...(await finishedMigrations(db)),
  ].toSorted()
}

/** Without the id of the installation and the times that the migrations wrote. */
function withoutIds(lines: readonly string[]): readonly string[] {
  const id = /\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g
  const time = /\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]*\+00\b/g
  return lines.map((line) => line.replace(id, 'ID').replace(time, 'TIME'))
}

/** Changes rows and schema of one database. The other one must not change. */
async function areSeparate(t: Test, one: Database, other: Database): Promise<void> {
  const before = await contents(other)
  t.same(await contents(one), before, 'two tests start with the same contents')
  await sql`create table only_here (id int)`.execute(one)
  await sql`insert into only_here values (1)`.execute(one)
  await sql`delete from kysely_migration`.execute(one)
  t.same(await contents(other), before, 'the other database stays unchanged')
}

t.test('each test has a PGlite of its own', async (t) => {
  const one = await pgliteForTest(t)
  await areSeparate(t, one, await pgliteForTest(t))
  t.same(await pendingMigrations(await pgliteForTest(t)), [], 'a later one is as new')
})

t.test('each test has a copy of the migrated Postgres, which is what the migrations create', async (t) => {
  const servers = [await startMigratedPostgres(t), await startMigratedPostgres(t), await startPostgres(t)]
  const urls = servers.flatMap((server) => (server === undefined ? [] : [server.url]))
  const [one, other, fresh] = urls.map((url) => connectPostgres(url, MIGRATING))
  if (one === undefined || other === undefined || fresh === undefined) return
  t.teardown(() => Promise.all([one, other, fresh].map((db) => db.destroy())))
  t.same(await finishedMigrations(fresh), [], 'startPostgres does not migrate')
  await migrateToLatest(fresh)
  t.same(withoutIds(await contents(one)), withoutIds(await contents(fresh)))
  await areSeparate(t, one, other)
})
