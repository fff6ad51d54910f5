import type { Transaction } from 'kysely'
import { sql } from 'kysely'
import type { Schema } from '../schema.ts'
import type { Table } from './tables.ts'

/** How much is written at once: rows, and characters of them. */
const [BATCH_ROWS, BATCH_CHARACTERS] = [500, 4_000_000]

/** Writes rows, given as JSON, many at a time. */
export function createRowWriter(tx: Transaction<Schema>, tables: readonly Table[]) {
  const columnsOf = new Map(tables.map(({ name, columns }) => [name, columns]))
  let [table, rows, characters, total] = ['', [] as string[], 0, 0]

  const flush = async (): Promise<void> => {
    if (rows.length === 0) return
    const known = columnsOf.get(table)
    if (known === undefined) throw new Error(`the backup has rows of ${table}, which is no table`)
    const columns = sql.join(known.map((column) => sql.ref(column)))
    const given = sql`json_populate_recordset(null::${sql.table(table)}, ${`[${rows.join(',')}]`}::json)`
    await sql`insert into ${sql.table(table)} (${columns}) select ${columns} from ${given}`.execute(tx)
    total += rows.length
    rows = []
    characters = 0
  }
  return {
    /** The writing itself may come later. */
    async write(into: string, json: string): Promise<void> {
      if (into !== table || rows.length === BATCH_ROWS || characters > BATCH_CHARACTERS) await flush()
      table = into
      rows.push(json)
      characters += json.length
    },
    /** Writes what is left; answers how many rows there were. */
    async end(): Promise<number> {
      await flush()
      return total
    },
  }
}
