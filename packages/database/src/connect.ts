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
    query_timeout: statementMs,
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

/** SQLSTATE classes and codes, and errors of the network, that mean "not now" rather than "not so". */
const AWAY_STATES = /^(?:08|53|57014|57P0[1-5]|25006)/
const AWAY_CODES = new Set([
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
const AWAY_MESSAGES =
  /timeout exceeded when trying to connect|Connection terminated|Query read timeout|not queryable/

/**
 * Whether an error of a query means that the database is away (and the query may be tried again later).
 * Source: PostgreSQL, appendix A "Error Codes"; node-postgres' own messages where it gives no code.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code, message } = error as Error & { code?: string }
  if (code !== undefined && (AWAY_CODES.has(code) || AWAY_STATES.test(code))) return true
  if (AWAY_MESSAGES.test(message)) return true
  return error instanceof AggregateError && error.errors.some(isDatabaseUnavailable)
}

/** Whether an error says that a unique name is taken. */
export function isUniqueViolation(error: unknown): boolean {
  return (error as { code?: string } | null)?.code === '23505'
}

/** Whether an error says that what a row names is not there. */
export function isForeignKeyViolation(error: unknown): boolean {
  return (error as { code?: string } | null)?.code === '23503'
}
