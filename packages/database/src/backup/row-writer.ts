import type { Transaction } from 'kysely'
import { sql } from 'kysely'
import type { Schema } from '../schema.ts'
import type { Table } from './tables.ts'

/** Size of a batch: number of rows, and their characters. */
const [BATCH_ROWS, BATCH_CHARACTERS] = [500, 4_000_000]

/** Inserts rows that are given as JSON, in batches. */
export function createRowWriter(tx: Transaction<Schema>, tables: readonly Table[]) {
  const columnsOf = new Map(tables.map(({ name, columns }) => [name, columns]))
  let [table, rows, characters, total] = ['', [] as string[], 0, 0]

  const flush = async (): Promise<void> => {
    if (rows.length === 0) return
    const known = columnsOf.get(table)
    if (known === undefined) throw new Error(`the backup has rows of an unknown table: ${table}`)
    const columns = sql.join(known.map((column) => sql.ref(column)))
    const given = sql`json_populate_recordset(null::${sql.table(table)}, ${`[${rows.join(',')}]`}::json)`
    // Identity columns get the values of the backup too.
    await sql`insert into ${sql.table(table)} (${columns}) overriding system value
      select ${columns} from ${given}`.execute(tx)
    total += rows.length
    rows = []
    characters = 0
  }
  return {
    /** Adds a row to the current batch. */
    async write(into: string, json: string): Promise<void> {
      if (into !== table || rows.length === BATCH_ROWS || characters > BATCH_CHARACTERS) await flush()
      table = into
      rows.push(json)
      characters += json.length
    },
    /** Writes the last batch; returns the number of all rows. */
    async end(): Promise<number> {
      await flush()
      return total
    },
  }
}
