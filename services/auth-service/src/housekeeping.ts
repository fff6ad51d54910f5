import type { Database, Schema } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import type { Metrics } from '@registry-manager/http'
import { createPeriodicWork } from '@registry-manager/http'
import { sql } from 'kysely'
import { Counter } from 'prom-client'
import { UNUSED_DAYS } from './access-tokens/refresh-tokens.ts'

export interface HousekeepingOptions {
  readonly db: Database
  readonly now: () => number
  readonly metrics: Metrics
  /** Days for which events are kept; 0 keeps all. */
  readonly auditDays: number
  readonly log: {
    info(details: object, message: string): void
    warn(details: object, message: string): void
  }
}

export interface Housekeeping {
  /** Removes expired rows unless another replica is doing so. Returns the number of removed rows by table. */
  run(): Promise<Readonly<Record<string, number>>>
  start(): void
  stop(): Promise<void>
}

interface ExpiringRows {
  readonly table: keyof Schema
  readonly column: string
  /** Time for which rows are kept after the time in the column. */
  readonly keepMs: number
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** A revocation is kept for a day: longer than any access token that it ends, whatever the settings of a replica. */
const EXPIRING: readonly ExpiringRows[] = [
  { table: 'sign_in_failures', column: 'clears_at', keepMs: 0 },
  { table: 'revocations', column: 'revoked_at', keepMs: DAY_MS },
  { table: 'refresh_tokens', column: 'used_at', keepMs: UNUSED_DAYS * DAY_MS },
  { table: 'browser_sessions', column: 'expires_at', keepMs: 0 },
  { table: 'device_authorizations', column: 'expires_at', keepMs: HOUR_MS },
  { table: 'provider_sign_ins', column: 'expires_at', keepMs: 0 },
  // Clocks differ: a logout token may be valid for a while after it expired here.
  { table: 'provider_logouts', column: 'expires_at', keepMs: HOUR_MS },
  { table: 'known_addresses', column: 'seen_at', keepMs: 90 * DAY_MS },
  // For a while the list of personal tokens shows why one has stopped working.
  { table: 'personal_tokens', column: 'expires_at', keepMs: 30 * DAY_MS },
]
const EVERY_MS = 60_000
/** The limits of one run: rows in a statement, and statements for a table. The next run removes the rest. */
const [BATCH, MAX_BATCHES] = [1000, 20]
/** Key of the advisory lock in Postgres that replicas compete for; no other code uses this number. */
const LOCK = 7_264_801_128

/** Removes expired rows every minute, in small transactions, on one replica at a time. */
export function createHousekeeping(options: HousekeepingOptions): Housekeeping {
  const { db, now, metrics, auditDays, log } = options
  const expiring: readonly ExpiringRows[] =
    auditDays === 0
      ? EXPIRING
      : [...EXPIRING, { table: 'events', column: 'time', keepMs: auditDays * DAY_MS }]
  const removed = new Counter({
    name: 'housekeeping_removed_rows_total',
    help: 'Expired rows that were removed from the database, by table',
    labelNames: ['table'],
    registers: [metrics.registry],
  })

  /** Removes a batch; undefined when another replica has the lock. */
  const removeBatch = ({ table, column, keepMs }: ExpiringRows): Promise<number | undefined> =>
    inTransaction(db, async (tx) => {
      const lock = await sql<{ taken: boolean }>`select pg_try_advisory_xact_lock(${LOCK}) as taken`.execute(
        tx,
      )
      if (lock.rows[0]?.taken !== true) return undefined
      const before = new Date(now() - keepMs)
      const { rows } = await sql<{ count: string }>`
        with gone as (
          delete from ${sql.table(table)} where ctid = any(array(
            select ctid from ${sql.table(table)} where ${sql.ref(column)} < ${before} limit ${BATCH}))
          returning 1)
        select count(*) from gone`.execute(tx)
      return Number(rows[0]?.count ?? 0)
    })

  const run = async () => {
    const counts: Record<string, number> = {}
    for (const rows of expiring) {
      for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
        const count = await removeBatch(rows)
        if (count === undefined) return counts
        removed.inc({ table: rows.table }, count)
        counts[rows.table] = (counts[rows.table] ?? 0) + count
        if (count < BATCH) break
      }
    }
    return counts
  }

  const periodic = createPeriodicWork({
    // Jitter: replicas that start together do not compete for the lock each time.
    everyMs: () => EVERY_MS * (0.75 + Math.random() / 2),
    waitFirst: true,
    async work() {
      const counts = await run()
      if (Object.values(counts).some((count) => count > 0)) {
        log.info({ removed: counts }, 'removed expired rows')
      }
    },
    onError: (err) => log.warn({ err }, 'could not remove expired rows; will retry'),
  })

  return { run, start: periodic.start, stop: periodic.stop }
}
