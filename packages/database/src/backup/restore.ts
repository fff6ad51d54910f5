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
 * Reads a backup into a database that holds no accounts and no repositories (an empty schema may be there), and
 * brings that to this version's schema. Answers the number of rows. Throws an Error whose message says what is
 * wrong; then there are still none.
 */
export async function restoreBackup(db: Database, input: Readable): Promise<number> {
  try {
    return await pipeline(input, createGunzip(), (pieces) => readInto(db, splitLines(pieces)))
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === 'Z_DATA_ERROR') throw new Error('this is no backup of registry-manager', { cause: error })
    if (code === 'Z_BUF_ERROR') throw new Error('the backup ends too soon', { cause: error })
    throw error
  }
}

async function readInto(db: Database, lines: AsyncGenerator<string>): Promise<number> {
  const { value: first } = await lines.next()
  const migrations = parseHeader(first ?? '')
  if (migrations === undefined) throw new Error('this is no backup of registry-manager')
  const unknown = migrations.filter((name) => !isKnownMigration(name))
  if (unknown.length > 0) throw new Error(`a later version made this backup: ${unknown.join(', ')}`)
  await refuseWhatIsThere(db)
  await migrateDown(db)
  await migrateThrough(db, migrations)
  const rows = await db.transaction().execute((tx) => insertAll(tx, lines))
  await migrateToLatest(db)
  return rows
}

async function refuseWhatIsThere(db: Database): Promise<void> {
  for (const { name } of await readTables(db)) {
    if (name !== 'accounts' && name !== 'repositories') continue
    const { rows } = await sql`select 1 from ${sql.table(name)} limit 1`.execute(db)
    if (rows.length > 0) throw new Error(`the database holds ${name} already: restore into an empty one`)
  }
}

async function insertAll(tx: Transaction<Schema>, lines: AsyncIterable<string>): Promise<number> {
  const tables = await readTables(tx)
  // Migrations may put rows of their own there; the backup has them too.
  for (const { name } of tables.toReversed()) await sql`delete from ${sql.table(name)}`.execute(tx)
  const writer = createRowWriter(tx, tables)
  let expected: number | undefined
  // Read to its very end: who leaves a stream before that breaks it.
  for await (const text of lines) {
    if (expected !== undefined) throw new Error('the backup goes on after its end')
    const line = parseLine(text)
    if (line.kind === 'row') await writer.write(line.table, line.json)
    else if (line.kind === 'end') expected = line.rows
    else await sql`select setval(${line.name}::regclass, ${line.last}::bigint)`.execute(tx)
  }
  const rows = await writer.end()
  if (expected === undefined) throw new Error('the backup ends too soon')
  if (expected !== rows) throw new Error(`the backup should have ${expected} rows and has ${rows}`)
  return rows
}
