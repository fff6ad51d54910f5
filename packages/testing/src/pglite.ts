import { PGlite, types } from '@electric-sql/pglite'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { Kysely, PGliteDialect } from 'kysely'
import type { Test } from 'tap'
import type { Database } from '../../database/src/connect.ts'
import { migrateToLatest } from '../../database/src/migrate.ts'
import type { Schema } from '../../database/src/schema.ts'
import { schemaHash } from './schema-hash.ts'

const CACHE = new URL('../../../.cache/', import.meta.url)
// Bytes are Buffers, as with pg and `openPglite`.
const parsers = { [types.BYTEA]: (hex: string) => Buffer.from(hex.slice(2), 'hex') }

// Clearing the default of 128 MB takes a third of the start.
const startParams = [...PGlite.defaultStartParams, '-c', 'shared_buffers=4MB']
// The dump contains whole WAL segments. The default of 16 MB would double its size.
const initDbStartParams = ['--wal-segsize=1']
const SMALL_WAL = ['-c', 'min_wal_size=2MB', '-c', 'max_wal_size=2MB']
// Each takes a third of the dump. Only CREATE DATABASE needs them.
const TEMPLATES = ['template0', 'template1']

/** Opens a fresh PGlite in memory with an empty schema; it closes when the test ends. */
export async function pgliteForTest(t: Test): Promise<Database> {
  const loadDataDir = new Blob([await migratedDatabase()])
  const pglite = await PGlite.create({ dataDir: 'memory://', loadDataDir, parsers, startParams })
  const db = new Kysely<Schema>({ dialect: new PGliteDialect({ pglite }) })
  t.teardown(async () => {
    await db.destroy()
    // Kysely does not close a database that ran no query.
    if (!pglite.closed) await pglite.close()
  })
  return db
}

/** Creating a database takes PGlite seconds, loading one takes none: a dump is cached per version and schema. */
async function migratedDatabase(): Promise<Buffer<ArrayBuffer>> {
  const settings = [...startParams, ...initDbStartParams, ...SMALL_WAL, ...TEMPLATES].join()
  const key = await schemaHash(import.meta.resolve('@electric-sql/pglite'), settings)
  const file = new URL(`pglite-${key}.tar`, CACHE)
  if (!existsSync(file)) {
    const dump = await dumpMigrated()
    await mkdir(CACHE, { recursive: true })
    // Written to a temporary file and renamed: test files that run in parallel never read half a file.
    const temporary = new URL(`${file.href}.${process.pid}`)
    await writeFile(temporary, Buffer.from(await dump.arrayBuffer()))
    await rename(temporary, file)
  }
  return readFile(file)
}

async function dumpMigrated(): Promise<Blob> {
  const pglite = await PGlite.create({
    dataDir: 'memory://',
    startParams: [...startParams, ...SMALL_WAL],
    initDbStartParams,
  })
  await migrateToLatest(new Kysely<Schema>({ dialect: new PGliteDialect({ pglite }) }))
  await pglite.exec('update pg_database set datistemplate = false')
  for (const name of TEMPLATES) await pglite.exec(`drop database ${name}`)
  await pglite.exec('checkpoint')
  const dump = await pglite.dumpDataDir('none')
  await pglite.close()
  return dump
}
