import { PGlite, types } from '@electric-sql/pglite'
import { createHash } from 'node:crypto'
import { existsSync, realpathSync } from 'node:fs'
import { mkdir, readFile, readdir, rename, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Kysely, PGliteDialect } from 'kysely'
import type { Test } from 'tap'
import type { Database } from '../../database/src/connect.ts'
import { migrateToLatest } from '../../database/src/migrate.ts'
import type { Schema } from '../../database/src/schema.ts'

const CACHE = new URL('../../../.cache/', import.meta.url)
const SOURCES = new URL('../../database/src/', import.meta.url)
// Bytes are Buffers, as with pg and `openPglite`.
const parsers = { [types.BYTEA]: (hex: string) => Buffer.from(hex.slice(2), 'hex') }

/** Opens a fresh PGlite in memory with an empty schema; it closes when the test ends. */
export async function pgliteForTest(t: Test): Promise<Database> {
  const loadDataDir = new Blob([await migratedDatabase()])
  const pglite = await PGlite.create({ dataDir: 'memory://', loadDataDir, parsers })
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
  const file = new URL(`pglite-${await version()}.tar`, CACHE)
  if (!existsSync(file)) {
    const pglite = await PGlite.create('memory://')
    await migrateToLatest(new Kysely<Schema>({ dialect: new PGliteDialect({ pglite }) }))
    const dump = await pglite.dumpDataDir('none')
    await pglite.close()
    await mkdir(CACHE, { recursive: true })
    // Written to a temporary file and renamed: test files that run in parallel never read half a file.
    const temporary = new URL(`${file.href}.${process.pid}`)
    await writeFile(temporary, Buffer.from(await dump.arrayBuffer()))
    await rename(temporary, file)
  }
  return readFile(file)
}

/** A hash that changes with PGlite's version and with the sources of packages/database. */
async function version(): Promise<string> {
  const hash = createHash('sha256').update(
    realpathSync(fileURLToPath(import.meta.resolve('@electric-sql/pglite'))),
  )
  const names = (await readdir(SOURCES, { recursive: true }))
    .filter((name) => name.endsWith('.ts'))
    .toSorted()
  for (const name of names) hash.update(name).update(await readFile(new URL(name, SOURCES)))
  return hash.digest('hex').slice(0, 16)
}
