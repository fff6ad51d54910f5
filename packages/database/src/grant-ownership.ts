import type { Transaction } from 'kysely'
import { sql } from 'kysely'
import type { Database } from './connect.ts'
import type { Schema } from './schema.ts'

export interface Login {
  readonly role: string
  readonly password: string
}

/**
 * Makes a login role the owner of the database, its tables, views, sequences and functions, and creates the role if
 * it is missing. Services connect as this role: they need no superuser. The given connection must be that of a
 * superuser. Idempotent.
 */
export async function grantOwnership(db: Database, { role, password }: Login): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const { rows } = await sql`select from pg_roles where rolname = ${role}`.execute(tx)
    const change = sql.raw(rows.length === 0 ? 'create' : 'alter')
    await sql`${change} role ${sql.id(role)} login password ${sql.lit(password)}`.execute(tx)
    const name = await sql<{ name: string }>`select current_database() as name`.execute(tx)
    await sql`alter database ${sql.id(name.rows[0]?.name ?? '')} owner to ${sql.id(role)}`.execute(tx)
    // Tables come first: a sequence that belongs to a table changes its owner with the table.
    for (const kind of ['r', 'v', 'S']) await grantRelations(tx, kind, role)
    await grantFunctions(tx, role)
  })
}

async function grantRelations(tx: Transaction<Schema>, kind: string, role: string): Promise<void> {
  const { rows } = await sql<{ name: string }>`
    select relname as name from pg_class
    where relnamespace = 'public'::regnamespace and relkind = ${kind} and pg_get_userbyid(relowner) <> ${role}`.execute(
    tx,
  )
  for (const { name } of rows) {
    await sql`alter table ${sql.id('public', name)} owner to ${sql.id(role)}`.execute(tx)
  }
}

/** Functions of extensions stay with the owner of the extension. */
async function grantFunctions(tx: Transaction<Schema>, role: string): Promise<void> {
  const { rows } = await sql<{ signature: string }>`
    select oid::regprocedure::text as signature from pg_proc
    where pronamespace = 'public'::regnamespace and pg_get_userbyid(proowner) <> ${role} and not exists (
      select from pg_depend where classid = 'pg_proc'::regclass and objid = pg_proc.oid and deptype = 'e')`.execute(
    tx,
  )
  for (const { signature } of rows) {
    await sql`alter routine ${sql.raw(signature)} owner to ${sql.id(role)}`.execute(tx)
  }
}
