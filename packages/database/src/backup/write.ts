import { Readable } from 'node:stream'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { Transaction } from 'kysely'
import { sql } from 'kysely'
import type { Database } from '../connect.ts'
import { finishedMigrations } from '../migrate.ts'
import type { Schema } from '../schema.ts'
import { formatHeader, formatLine } from './format.ts'
import { readSequences, readTables } from './tables.ts'

/** Rows in memory at the same time. A manifest of 4 MiB is 8 MiB of hexadecimal digits. */
const [ROWS, ROWS_WITH_BYTES] = [200, 5]

/**
 * Writes a consistent snapshot of all tables; other transactions keep reading and writing. Ends the stream and returns
 * the number of rows. Throws if the database has no schema of registry-manager.
 */
export async function writeBackup(db: Database, out: Writable): Promise<number> {
  const counted = { rows: 0 }
  await db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute((tx) => pipeline(Readable.from(linesOf(tx, counted)), createGzip(), out))
  return counted.rows
}

async function* linesOf(tx: Transaction<Schema>, counted: { rows: number }): AsyncGenerator<string> {
  const migrations = await finishedMigrations(tx)
  if (migrations.length === 0)
    throw new Error('there is nothing to back up: the database has no schema of registry-manager')
  yield `${formatHeader(migrations)}\n`
  for (const { name, hasBytes } of await readTables(tx)) {
    const batch = hasBytes ? ROWS_WITH_BYTES : ROWS
    const all = sql`select row_to_json(t)::text as json from ${sql.table(name)} t`
    await sql`declare backup no scroll cursor for ${all}`.execute(tx)
    for (;;) {
      const { rows } = await sql<{ json: string }>`fetch ${sql.lit(batch)} from backup`.execute(tx)
      for (const { json } of rows) yield `${formatLine({ kind: 'row', table: name, json })}\n`
      counted.rows += rows.length
      if (rows.length < batch) break
    }
    await sql`close backup`.execute(tx)
  }
  for (const { name, last } of await readSequences(tx)) {
    if (last !== null) yield `${formatLine({ kind: 'sequence', name, last })}\n`
  }
  yield `${formatLine({ kind: 'end', rows: counted.rows })}\n`
}
