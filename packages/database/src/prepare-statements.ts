import type { PoolClient, QueryConfig, QueryResult } from 'pg'

/**
 * Executions of a statement before it is prepared. Parsing and planning take longer than running most of our
 * statements.
 */
const EXECUTIONS_BEFORE = 2
/** Maximum number of prepared statements of a connection: the server keeps the plan of each in memory. */
export const MAX_PREPARED = 150
/**
 * Maximum length of a prepared statement, in characters. Longer ones insert many rows, and differ with the number of
 * rows.
 */
const MAX_LENGTH = 4000
/** The plan of a prepared statement is made for a list of ten elements, and compares each row with each element. */
const MAX_ELEMENTS = 50
/**
 * A good plan for a pattern search depends on the pattern. An insert of several rows has another text for each number
 * of rows.
 */
const NOT_PREPARED = / like |\), \(\$/i
/** Maximum number of texts whose executions are counted. */
const MAX_COUNTED = 2000

/** Chooses which statements are prepared, by their texts. One for all connections of a process. */
export interface Statements {
  /** The name of the prepared statement for a text that is executed now; undefined if it is not prepared. */
  nameOf(text: string): string | undefined
  /** Prepares a text under a new name from now on. */
  rename(text: string): void
}

export function createStatements(): Statements {
  /** Names by text; for a text that is not prepared yet, the number of its executions. */
  const known = new Map<string, string | number>()
  let [prepared, names] = [0, 0]
  const newName = () => `statement-${(names += 1)}`
  return {
    nameOf(text) {
      const entry = known.get(text) ?? 0
      if (typeof entry === 'string') return entry
      if (prepared === MAX_PREPARED || text.length > MAX_LENGTH || NOT_PREPARED.test(text)) return undefined
      if (entry < EXECUTIONS_BEFORE) {
        if (known.size < MAX_COUNTED) known.set(text, entry + 1)
        return undefined
      }
      prepared += 1
      const name = newName()
      known.set(text, name)
      return name
    },
    rename: (text) => void known.set(text, newName()),
  }
}

/** Has a connection prepare the statements with parameters that `statements` chooses. Kysely sends them as texts. */
export function prepareStatements(client: PoolClient, statements: Statements): void {
  const send = client.query.bind(client) as (query: QueryConfig) => Promise<QueryResult>
  const query = async (text: string, values: unknown[] = []): Promise<QueryResult> => {
    const isPrepared = values.length > 0 && !values.some(isLongList)
    const name = isPrepared ? statements.nameOf(text) : undefined
    if (name === undefined) return send({ text, values })
    try {
      return await send({ name, text, values })
    } catch (error) {
      if (!isStaleStatement(error)) throw error
      statements.rename(text)
      // Fails within a transaction, which Postgres has ended. `inTransaction` runs it again.
      return send({ text, values }).catch(() => Promise.reject(error))
    }
  }
  client.query = query as typeof client.query
}

function isLongList(value: unknown): boolean {
  return Array.isArray(value) && value.length > MAX_ELEMENTS
}

/**
 * Whether Postgres refuses a prepared statement because a migration has changed its columns. The statement has not
 * run. Source: PostgreSQL, RevalidateCachedQuery in plancache.c ("cached plan must not change result type").
 */
export function isStaleStatement(error: unknown): boolean {
  const { code, routine } = (error ?? {}) as { code?: string; routine?: string }
  return code === '0A000' && routine === 'RevalidateCachedQuery'
}
