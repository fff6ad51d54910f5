import type { Database } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import { createRecordEvents } from '@registry-manager/events'
import type { NewEvent } from '@registry-manager/events'
import type { RequestPrincipal } from '@registry-manager/http'
import { sql } from 'kysely'
import { IMAGE_MANAGER } from '../service-principal.ts'
import type { RunPosition } from './reconcile-all.ts'
import type { ReconcileCounts } from './counts.ts'
import { readCounts } from './counts.ts'
import type { Run } from './run.ts'

/**
 * The runs of reconcile. One run is active at a time, and one process holds its lease: updates take and renew the lease
 * if it is free or held by the same process. A session lock is no alternative, because PGlite has a single session.
 * `holder`: a UUID of this process. `principal`: the principal of the events.
 */
export function createRunsRepository(
  db: Database,
  holder: string,
  principal: RequestPrincipal = IMAGE_MANAGER,
) {
  const inSeconds = (seconds: number) => sql<Date>`now() + make_interval(secs => ${sql.lit(seconds)})`
  const columns = ['id', 'started_at', 'step', 'last_name', 'counts'] as const
  const updateOwn = (id: string, within = db) =>
    within
      .updateTable('reconciliations')
      .where('id', '=', id)
      .where('holder', '=', holder)
      .where('finished_at', 'is', null)

  return {
    /**
     * Takes over an unfinished run without a live lease, or starts a run if none finished within some seconds.
     * Undefined if another process holds the lease, or if no run is due.
     */
    async take(leaseSeconds: number, dueAfterSeconds: number): Promise<Run | undefined> {
      const row =
        (await db
          .updateTable('reconciliations')
          .set({ holder, leased_until: inSeconds(leaseSeconds) })
          .where('finished_at', 'is', null)
          .where('leased_until', '<=', sql<Date>`now()`)
          .returning(columns)
          .executeTakeFirst()) ??
        (await db
          .insertInto('reconciliations')
          .columns(['holder', 'leased_until'])
          .expression(
            sql`select ${holder}::uuid, ${inSeconds(leaseSeconds)} where not exists (
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

    /** Renews the lease. Returns false if another process has taken the run over. */
    async renew(id: string, leaseSeconds: number): Promise<boolean> {
      const { numUpdatedRows } = await updateOwn(id)
        .set({ leased_until: inSeconds(leaseSeconds) })
        .executeTakeFirstOrThrow()
      return numUpdatedRows === 1n
    },

    /** Saves the position, and renews the lease. Returns false if another process has taken the run over. */
    async save(
      id: string,
      { step, lastName }: RunPosition,
      counts: ReconcileCounts,
      leaseSeconds: number,
    ): Promise<boolean> {
      const { numUpdatedRows } = await updateOwn(id)
        .set({
          step,
          last_name: lastName ?? null,
          counts: JSON.stringify(counts),
          leased_until: inSeconds(leaseSeconds),
        })
        .executeTakeFirstOrThrow()
      return numUpdatedRows === 1n
    },

    /** Finishes a run with its events, and deletes runs that finished more than some days ago. */
    async finish(
      id: string,
      counts: ReconcileCounts,
      keptDays: number,
      events: readonly NewEvent[] = [],
    ): Promise<void> {
      await inTransaction(db, async (tx) => {
        const { numUpdatedRows } = await updateOwn(id, tx)
          .set({ finished_at: sql`now()`, counts: JSON.stringify(counts) })
          .executeTakeFirstOrThrow()
        if (numUpdatedRows > 0n) await createRecordEvents(tx, { principal })(...events)
      })
      await db
        .deleteFrom('reconciliations')
        .where('finished_at', '<', sql<Date>`now() - make_interval(days => ${sql.lit(keptDays)})`)
        .execute()
    },

    /** Ends the lease, so that another process can resume the run at once. */
    async release(id: string): Promise<void> {
      await updateOwn(id)
        .set({ leased_until: sql`now()` })
        .execute()
    },
  }
}
