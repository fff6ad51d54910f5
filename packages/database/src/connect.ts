import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import type { Schema } from './schema.ts'

export type Database = Kysely<Schema>

/** Milliseconds that a statement may take, and may wait for a lock; 0 is without end. */
export interface QueryLimits {
  readonly statementMs: number
  readonly lockMs: number
}

export const SERVING: QueryLimits = { statementMs: 5000, lockMs: 0 }
/**
 * For changes of the schema. Who waits for a lock on a table makes all others wait behind him: after a long
 * transaction (a backup's) it is better to give up and come again.
 */
export const MIGRATING: QueryLimits = { statementMs: 0, lockMs: 10_000 }

/** How much later than its statement timeout a server may answer until it counts as unavailable, in milliseconds. */
const ANSWER_MS = 1000

/**
 * Connects to Postgres. Nothing is opened before the first query; a server that is away makes queries fail
 * within seconds, with errors that `isDatabaseUnavailable` knows.
 */
export function connectPostgres(
  databaseUrl: string,
  { statementMs, lockMs } = SERVING,
  maxConnections = 10,
): Database {
  const pool = new Pool({
    connectionString: databaseUrl,
    max: maxConnections,
    connectionTimeoutMillis: 2000,
    // Later than the server's own timeout: when it comes, the server does not answer at all.
    query_timeout: statementMs === 0 ? 0 : statementMs + ANSWER_MS,
    statement_timeout: statementMs,
    lock_timeout: lockMs,
    keepAlive: true,
  })
  // An idle connection that breaks is the pool's to replace; unheard, the event would end the process.
  pool.on('error', () => {})
  // And so would one that breaks between two queries of a transaction: its next query says so.
  pool.on('connect', (client) => client.on('error', () => {}))
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
}

/**
 * SQLSTATEs that say something of the connection or of the whole server: connection exceptions, a server that is
 * shutting down or starting, no free connection, a full disk, a standby. Not 08P01 (protocol violation: one statement
 * with too many parameters ends so), not 57014 (one statement was cancelled), not 53200 (one ran out of memory).
 */
const UNAVAILABLE_STATES = /^(?:08(?!P01)...|53[13]00|57P0[1-5]|25006)$/
const UNAVAILABLE_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
])
const UNAVAILABLE_MESSAGES =
  /timeout exceeded when trying to connect|Connection terminated|Query read timeout|not queryable/

/**
 * Whether an error of a query means that the database is unavailable: any other query would fail as well, and this one
 * may be repeated later. Never true for an error of one statement.
 * Source: PostgreSQL, appendix A "Error Codes"; node-postgres' own messages where it gives no code.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code, message } = error as Error & { code?: string }
  if (code !== undefined && (UNAVAILABLE_CODES.has(code) || UNAVAILABLE_STATES.test(code))) return true
  if (UNAVAILABLE_MESSAGES.test(message)) return true
  return error instanceof AggregateError && error.errors.some(isDatabaseUnavailable)
}

/**
 * Whether the database cancelled one statement because it took, or waited, too long (57014, 55P03). A request that
 * reads one row treats this like an unavailable database; work on many items must not: the item may be the reason.
 */
export function isStatementTimeout(error: unknown): boolean {
  return error instanceof Error && /^(?:57014|55P03)$/.test((error as Error & { code?: string }).code ?? '')
}

/** Whether a request that reads or changes a few rows may succeed when it is repeated: answered with 503. */
export function isDatabaseBusyOrUnavailable(error: unknown): boolean {
  return isDatabaseUnavailable(error) || isStatementTimeout(error)
}

/** Whether an error says that a unique name is taken. */
export function isUniqueViolation(error: unknown): boolean {
  return (error as { code?: string } | null)?.code === '23505'
}

/** Whether an error says that what a row names is not there. */
export function isForeignKeyViolation(error: unknown): boolean {
  return (error as { code?: string } | null)?.code === '23503'
}
