import { readdir } from 'node:fs/promises'
import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import { Migrator } from 'kysely/migration'
import t from 'tap'
import type { Database } from '../src/connect.ts'
import { pgliteForTest } from './fixtures/pglite.ts'

/*
 * While a new version is rolled out, the one before it goes on reading and writing, in the new schema. So what
 * there was stays: columns keep their names and types, and what comes new must not be asked of who doesn't know it.
 * What is no longer needed is taken away by a later release, and then named here.
 */
const TAKEN_AWAY: ReadonlySet<string> = new Set()

const FOLDER = new URL('../src/migrations/', import.meta.url)

interface Column {
  readonly name: string
  readonly type: string
  /** Whether an insert that does not know of it is refused. */
  readonly mandatory: boolean
}

async function columnsOf(db: Database): Promise<readonly Column[]> {
  const { rows } = await sql<Column>`
    select table_name || '.' || column_name as name, data_type as type,
      is_nullable = 'NO' and column_default is null and is_generated = 'NEVER' as mandatory
    from information_schema.columns
    where table_schema = 'public' and table_name not like 'kysely%'`.execute(db)
  return rows
}

t.test('no migration takes from who runs the version before it', async (t) => {
  const files = (await readdir(FOLDER)).toSorted()
  const load = async (file: string) => [file.replace(/\.ts$/, ''), await import(new URL(file, FOLDER).href)]
  const migrations: Record<string, Migration> = Object.fromEntries(await Promise.all(files.map(load)))
  const db = await pgliteForTest(t)
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
  for (const _ of files) t.equal((await migrator.migrateDown()).error, undefined)
  t.same(await columnsOf(db), [], 'from nothing')

  for (const name of Object.keys(migrations)) {
    const before = await columnsOf(db)
    t.equal((await migrator.migrateUp()).error, undefined)
    const after = new Map((await columnsOf(db)).map((column) => [column.name, column]))
    const tables = new Set(before.map((column) => tableOf(column)))
    for (const column of before.filter((column) => !TAKEN_AWAY.has(column.name))) {
      const now = after.get(column.name)
      t.match(now, { type: column.type }, `${name} leaves ${column.name}`)
      t.notOk(now?.mandatory && !column.mandatory, `${name} lets ${column.name} be left out as before`)
      after.delete(column.name)
    }
    for (const column of after.values()) {
      t.notOk(tables.has(tableOf(column)) && column.mandatory, `${name} adds ${column.name}`)
    }
  }
})

function tableOf({ name }: Column): string {
  return name.split('.', 1).join('')
}
