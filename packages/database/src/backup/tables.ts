import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import type { Schema } from '../schema.ts'

export interface Table {
  readonly name: string
  /** Columns that an insert can set: all but generated ones. */
  readonly columns: readonly string[]
  /** Whether a column holds bytes, so that a row may have megabytes. */
  readonly hasBytes: boolean
}

/** All tables, referenced tables first, without Kysely's tables of migrations. */
export async function readTables(db: Kysely<Schema>): Promise<readonly Table[]> {
  const { rows: tables } = await sql<Table & { needs: string[] }>`
    select relname as name,
      (select array_agg(attname::text order by attnum) from pg_attribute
        where attrelid = pg_class.oid and attnum > 0 and not attisdropped and attgenerated = '') as columns,
      exists(select from pg_attribute
        where attrelid = pg_class.oid and attnum > 0 and not attisdropped and atttypid = 'bytea'::regtype) as "hasBytes",
      array(select distinct confrelid::regclass::text from pg_constraint
        where conrelid = pg_class.oid and contype = 'f' and confrelid <> conrelid) as needs
    from pg_class
    where relkind = 'r' and relnamespace = current_schema()::regnamespace and relname not like 'kysely_%'
    order by relname`.execute(db)
  const placed = new Set<string>()
  const ordered: Table[] = []
  while (ordered.length < tables.length) {
    const next = tables.find(
      ({ name, needs }) => !placed.has(name) && needs.every((need) => placed.has(need)),
    )
    if (next === undefined) throw new Error('the tables reference each other in a cycle')
    placed.add(next.name)
    ordered.push(next)
  }
  return ordered
}

/** All sequences with their last value; null if a sequence has not been used yet. */
export async function readSequences(
  db: Kysely<Schema>,
): Promise<readonly { readonly name: string; readonly last: string | null }[]> {
  const { rows } = await sql<{ name: string; last: string | null }>`
    select sequencename as name, last_value::text as last from pg_sequences
    where schemaname = current_schema()`.execute(db)
  return rows
}
