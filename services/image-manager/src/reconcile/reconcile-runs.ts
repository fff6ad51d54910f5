import { randomUUID } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { ReconcileCounts } from './counts.ts'
import { readCounts } from './counts.ts'

/** How far a run is: in the registry's catalog, or in what the index has beside it. */
export interface RunPosition {
  readonly step: 'registry' | 'index'
  /** The repository after which the catalog goes on. */
  readonly lastName: string | undefined
}

/** A run that is this process's, for as long as its lease is kept up. */
export interface Run extends RunPosition {
  readonly id: string
  readonly startedAt: Date
  readonly counts: ReconcileCounts
}

/** How long a run is a process's alone after it was last heard of, in seconds. */
export const LEASE_SECONDS = 60
/** What is kept of what is over, in days. */
const KEPT_DAYS = 30

export type Reconciliations = ReturnType<typeof createReconciliations>

/**
 * The runs of reconcile. One is under way at a time, and one process works on it: a lease, taken and kept up by
 * updates that find it free or their own. No session lock: PGlite has one session for all.
 */
export function createReconciliations(db: Database, holder: string = randomUUID()) {
  const leasedUntil = sql<Date>`now() + make_interval(secs => ${sql.lit(LEASE_SECONDS)})`
  const columns = ['id', 'started_at', 'step', 'last_name', 'counts'] as const
  const updateOwn = (id: string) =>
    db
      .updateTable('reconciliations')
      .where('id', '=', id)
      .where('holder', '=', holder)
      .where('finished_at', 'is', null)

  return {
    /**
     * Takes up the run that somebody left, or begins one; where seconds are given, only if none ended within so
     * many. Undefined when another process is at it, or when none is due.
     */
    async take(dueAfterSeconds = 0): Promise<Run | undefined> {
      const row =
        (await db
          .updateTable('reconciliations')
          .set({ holder, leased_until: leasedUntil })
          .where('finished_at', 'is', null)
          .where('leased_until', '<=', sql<Date>`now()`)
          .returning(columns)
          .executeTakeFirst()) ??
        (await db
          .insertInto('reconciliations')
          .columns(['holder', 'leased_until'])
          .expression(
            sql`select ${holder}::uuid, ${leasedUntil} where not exists (
              select from reconciliations
              where finished_at > now() - make_interval(secs => ${dueAfterSeconds}))`,
          )
          .onConflict((conflict) => conflict.doNothing())
          .returning(columns)
          .executeTakeFirst())
      if (row === undefined) return undefined
      const { id, started_at: startedAt, step, last_name, counts } = row
      return { id, startedAt, step, lastName: last_name ?? undefined, counts: readCounts(counts) }
    },

    /** Says that the process is at it still. False when the run is not its own any more. */
    async renew(id: string): Promise<boolean> {
      const { numUpdatedRows } = await updateOwn(id)
        .set({ leased_until: leasedUntil })
        .executeTakeFirstOrThrow()
      return numUpdatedRows === 1n
    },

    /** Writes down how far it is, and renews. */
    async save(id: string, { step, lastName }: RunPosition, counts: ReconcileCounts): Promise<boolean> {
      const { numUpdatedRows } = await updateOwn(id)
        .set({
          step,
          last_name: lastName ?? null,
          counts: JSON.stringify(counts),
          leased_until: leasedUntil,
        })
        .executeTakeFirstOrThrow()
      return numUpdatedRows === 1n
    },

    async finish(id: string, counts: ReconcileCounts): Promise<void> {
      await updateOwn(id)
        .set({ finished_at: sql`now()`, counts: JSON.stringify(counts) })
        .execute()
      await db
        .deleteFrom('reconciliations')
        .where('finished_at', '<', sql<Date>`now() - make_interval(days => ${sql.lit(KEPT_DAYS)})`)
        .execute()
    },

    /** Leaves the run for whoever comes next, at once. */
    async release(id: string): Promise<void> {
      await updateOwn(id)
        .set({ leased_until: sql`now()` })
        .execute()
    },
  }
}
