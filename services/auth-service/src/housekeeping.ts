import type { Database, Schema } from '@registry-manager/database'
import { isDatabaseUnavailable } from '@registry-manager/database'
import type { Metrics } from '@registry-manager/http'
import { sql } from 'kysely'
import { Counter } from 'prom-client'
import { UNUSED_DAYS } from './access-tokens/refresh-tokens-repository.ts'

export interface HousekeepingOptions {
  readonly db: Database
  readonly now: () => number
  readonly metrics: Metrics
  readonly log: {
    info(details: object, message: string): void
    warn(details: object, message: string): void
  }
}

export interface Housekeeping {
  /** Removes what has expired, unless another replica is about it; answers how many rows of each table. */
  run(): Promise<Readonly<Record<string, number>>>
  start(): void
  stop(): Promise<void>
}

interface Expiring {
  readonly table: keyof Schema
  readonly column: string
  /** For how long rows are kept after the time in the column. */
  readonly keepMs: number
}

const DAY_MS = 86_400_000
/** A day is longer than any token lives that a revocation ends, whatever the replicas' settings are. */
const EXPIRING: readonly Expiring[] = [
  { table: 'sign_in_failures', column: 'clears_at', keepMs: 0 },
  { table: 'revocations', column: 'revoked_at', keepMs: DAY_MS },
  { table: 'refresh_tokens', column: 'used_at', keepMs: UNUSED_DAYS * DAY_MS },
  { table: 'known_addresses', column: 'seen_at', keepMs: 90 * DAY_MS },
]
const EVERY_MS = 60_000
/** Rows in a statement, and statements for a table in one run: the rest is for the next run. */
const [BATCH, MAX_BATCHES] = [1000, 20]
/** Of a lock in Postgres, which every replica asks for: any number that nothing else uses. */
const LOCK = 7_264_801_128

/** Removes rows that have expired, every minute, in small transactions, one replica at a time. */
export function createHousekeeping({ db, now, metrics, log }: HousekeepingOptions): Housekeeping {
  const removed = new Counter({
    name: 'housekeeping_removed_rows_total',
    help: 'Expired rows that were removed from the database, by table',
    labelNames: ['table'],
    registers: [metrics.registry],
  })
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined

  /** Removes a batch; undefined when another replica is about it. */
  const removeBatch = ({ table, column, keepMs }: Expiring): Promise<number | undefined> =>
    db.transaction().execute(async (tx) => {
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
    for (const expiring of EXPIRING) {
      for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
        const count = await removeBatch(expiring)
        if (count === undefined) return counts
        removed.inc({ table: expiring.table }, count)
        counts[expiring.table] = (counts[expiring.table] ?? 0) + count
        if (count < BATCH) break
      }
    }
    return counts
  }

  const runAndLog = async () => {
    try {
      const counts = await run()
      if (Object.values(counts).some((count) => count > 0))
        log.info({ removed: counts }, 'removed expired rows')
    } catch (err) {
      const away = isDatabaseUnavailable(err) ? 'the database is away' : 'a fault'
      log.warn({ err }, `expired rows could not be removed (${away}); will retry`)
    }
  }
  const tick = () => {
    running = runAndLog().finally(() => {
      running = undefined
      if (timer !== undefined) timer = setTimeout(tick, nextMs())
    })
  }
  // Replicas that were started together do not come together.
  const nextMs = () => EVERY_MS * (0.75 + Math.random() / 2)

  return {
    run,
    start: () => {
      timer = setTimeout(tick, nextMs())
    },
    async stop() {
      clearTimeout(timer)
      timer = undefined
      await running
    },
  }
}
