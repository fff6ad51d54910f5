import { PGlite, types } from '@electric-sql/pglite'
import type { Database, Schema } from '@registry-manager/database'
import { Kysely, PGliteDialect } from 'kysely'

/** Opens or creates a Postgres inside this process (PGlite) with its data in a folder. It has one connection. */
export async function openPglite(folder: string): Promise<Database> {
  const pglite = await PGlite.create(folder, { parsers: { [types.BYTEA]: parseBytea } })
  return new Kysely<Schema>({ dialect: new PGliteDialect({ pglite }) })
}

/** Parses Postgres' hex format of bytes into a Buffer, as pg does. */
function parseBytea(text: string): Buffer {
  return Buffer.from(text.slice(String.raw`\x`.length), 'hex')
}
