import { PGlite, types } from '@electric-sql/pglite'
import type { Database, Schema } from '@registry-manager/database'
import { Kysely, PGliteDialect } from 'kysely'

/** Opens (or makes) a Postgres inside this process, with its data in a folder. One connection, no more. */
export async function openPglite(folder: string): Promise<Database> {
  const pglite = await PGlite.create(folder, { parsers: { [types.BYTEA]: parseBytea } })
  return new Kysely<Schema>({ dialect: new PGliteDialect({ pglite }) })
}

/** Bytes as pg answers them: a Buffer, from Postgres' hex format. */
function parseBytea(text: string): Buffer {
  return Buffer.from(text.slice(String.raw`\x`.length), 'hex')
}
