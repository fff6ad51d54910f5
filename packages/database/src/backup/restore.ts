import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import type { Transaction } from 'kysely'
import { sql } from 'kysely'
import type { Database } from '../connect.ts'
import { isKnownMigration, migrateDown, migrateThrough, migrateToLatest } from '../migrate.ts'
import type { Schema } from '../schema.ts'
import { parseHeader, parseLine, splitLines } from './format.ts'
import { createRowWriter } from './row-writer.ts'
import { readTables } from './tables.ts'

/**
 * Restores a backup into a database without accounts and repositories (it may have an empty schema) and migrates it to
 * this version. Returns the number of rows. If it fails, the database still has no accounts and no repositories.
 */
export async function restoreBackup(db: Database, input: Readable): Promise<number> {
  try {
    return await pipeline(input, createGunzip(), (pieces) => readInto(db, splitLines(pieces)))
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === 'Z_DATA_ERROR') throw new Error(NOT_A_BACKUP, { cause: error })
    if (code === 'Z_BUF_ERROR') throw new Error(TRUNCATED, { cause: error })
    throw error
  }
}

const NOT_A_BACKUP = 'the file is not a backup of registry-manager'
const TRUNCATED = 'the backup is truncated'

async function readInto(db: Database, lines: AsyncGenerator<string>): Promise<number> {
  const { value: first } = await lines.next()
  const migrations = parseHeader(first ?? '')
  if (migrations === undefined) throw new Error(NOT_A_BACKUP)
  const unknown = migrations.filter((name) => !isKnownMigration(name))
  if (unknown.length > 0)
    throw new Error(`a later version wrote this backup: this version lacks ${unknown.join(', ')}`)
  await requireEmpty(db)
  await migrateDown(db)
  await migrateThrough(db, migrations)
  const rows = await db.transaction().execute((tx) => insertAll(tx, lines))
  await migrateToLatest(db)
  await restartCollection(db)
  return rows
}

/**
 * The registry may have content that was pushed after the backup. No data is removed until reconcile has recorded that
 * content (decision 41).
 */
async function restartCollection(db: Database): Promise<void> {
  await sql`update collection set database = ''`.execute(db)
}

/** `repositories`: the name of `all_repositories` in earlier versions. */
const MUST_BE_EMPTY: ReadonlySet<string> = new Set(['accounts', 'repositories', 'all_repositories'])

async function requireEmpty(db: Database): Promise<void> {
  for (const { name } of await readTables(db)) {
    if (!MUST_BE_EMPTY.has(name)) continue
    const { rows } = await sql`select 1 from ${sql.table(name)} limit 1`.execute(db)
    if (rows.length > 0)
      throw new Error(
        `the database already holds ${name.replace('all_', '')}: restore into an empty database`,
      )
  }
}

async function insertAll(tx: Transaction<Schema>, lines: AsyncIterable<string>): Promise<number> {
  const tables = await readTables(tx)
  // Triggers are disabled, because the backup already has the rows that they have written.
  const setTriggers = async (state: 'disable' | 'enable') => {
    for (const { name } of tables)
      await sql`alter table ${sql.table(name)} ${sql.raw(state)} trigger user`.execute(tx)
  }
  await setTriggers('disable')
  // Migrations insert rows that are also in the backup.
  for (const { name } of tables.toReversed()) await sql`delete from ${sql.table(name)}`.execute(tx)
  const writer = createRowWriter(tx, tables)
  let expected: number | undefined
  // Reads to the end of the stream: leaving the loop early would destroy the stream.
  for await (const text of lines) {
    if (expected !== undefined) throw new Error('the backup continues after its end line')
    const line = parseLine(text)
    if (line.kind === 'row') await writer.write(line.table, line.json)
    else if (line.kind === 'end') expected = line.rows
    else await sql`select setval(${line.name}::regclass, ${line.last}::bigint)`.execute(tx)
  }
  const rows = await writer.end()
  await setTriggers('enable')
  if (expected === undefined) throw new Error(TRUNCATED)
  if (expected !== rows) throw new Error(`the backup has ${rows} rows; its end line says ${expected}`)
  return rows
}
