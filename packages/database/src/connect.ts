import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import { createStatements, prepareStatements } from './prepare-statements.ts'
import type { Schema } from './schema.ts'

export type Database = Kysely<Schema>

/** Timeouts of a statement and of its wait for a lock, in milliseconds; 0 is unlimited. */
export interface QueryLimits {
  readonly statementMs: number
  readonly lockMs: number
}

export const SERVING: QueryLimits = { statementMs: 5000, lockMs: 0 }
/**
 * For changes of the schema. A statement that waits for a table lock blocks every later statement on the table. Behind
 * a long transaction, such as a backup, it is better to fail and retry.
 */
export const MIGRATING: QueryLimits = { statementMs: 0, lockMs: 10_000 }

/** The server counts as unavailable if it has not responded this long after the statement timeout, in milliseconds. */
const RESPONSE_MS = 1000

/**
 * Creates a connection pool. It connects at the first query. While the server is unavailable, queries fail within
 * seconds, with errors that `isDatabaseUnavailable` recognizes.
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
    // Longer than the server's own timeout: it fires only when the server does not respond at all.
    query_timeout: statementMs === 0 ? 0 : statementMs + RESPONSE_MS,
    statement_timeout: statementMs,
    lock_timeout: lockMs,
    keepAlive: true,
  })
  // The pool replaces an idle connection that breaks. Without a listener the event would end the process.
  pool.on('error', () => {})
  // A connection that breaks within a transaction emits `error` on the client, not on the pool. Ignoring it is safe:
  // the next query of the transaction fails.
  const statements = createStatements()
  pool.on('connect', (client) => {
    client.on('error', () => {})
    prepareStatements(client, statements)
  })
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
}

/**
 * SQLSTATEs of the connection or the whole server: connection exceptions, a server that shuts down or starts, no free
 * connection, a full disk, a standby. Excluded, because they concern one statement: 08P01 (protocol violation, such as
 * too many parameters), 57014 (cancelled) and 53200 (out of memory).
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
 * Whether an error means that the database is unavailable: every other query would fail too, and this one can be
 * retried later. Never true for an error of one statement.
 * Source: PostgreSQL, appendix A "Error Codes"; node-postgres' own messages where its errors have no code.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code, message } = error as Error & { code?: string }
  if (code !== undefined && (UNAVAILABLE_CODES.has(code) || UNAVAILABLE_STATES.test(code))) return true
  if (UNAVAILABLE_MESSAGES.test(message)) return true
  return error instanceof AggregateError && error.errors.some(isDatabaseUnavailable)
}

/**
 * Whether the database cancelled a statement at its statement timeout or lock timeout (57014, 55P03). A request for a
 * few rows treats this like an unavailable database. Work on many items must not: one item may be the reason.
 */
export function isStatementTimeout(error: unknown): boolean {
  return error instanceof Error && /^(?:57014|55P03)$/.test((error as Error & { code?: string }).code ?? '')
}

/** Whether a request that reads or changes a few rows may succeed when it is retried: the response is 503. */
export function isDatabaseBusyOrUnavailable(error: unknown): boolean {
  return isDatabaseUnavailable(error) || isStatementTimeout(error)
}

/** Whether an error means that a unique name is taken. */
export function isUniqueViolation(error: unknown): boolean {
  return (error as { code?: string } | null)?.code === '23505'
}

/** Whether an error means that a row references another row that does not exist. */
export function isForeignKeyViolation(error: unknown): boolean {
  return (error as { code?: string } | null)?.code === '23503'
}
