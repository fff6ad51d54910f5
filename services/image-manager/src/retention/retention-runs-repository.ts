import type { Database } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import { sql } from 'kysely'
import type { ListedRun } from './list-runs.ts'
import type { RetentionProgress, RetentionRun } from './run-retention.ts'

/**
 * The runs of retention. One run is active at a time, and one process holds its lease. `holder`: a UUID of this
 * process.
 */
export function createRetentionRunsRepository(db: Database, holder: string) {
  const inSeconds = (seconds: number) => sql<Date>`now() + make_interval(secs => ${sql.lit(seconds)})`
  const isOwn = (id: string) => sql`id = ${id} and holder = ${holder}::uuid and finished_at is null`

  return {
    async take(leaseSeconds: number, dueAfterSeconds: number): Promise<RetentionRun | undefined> {
      const columns = sql`id, started_at as "startedAt", coalesce(last_name, '') as "lastName", now() as "takenAt"`
      const resumed = await sql<RetentionRun>`
        update retention_runs set holder = ${holder}::uuid, leased_until = ${inSeconds(leaseSeconds)}
        where finished_at is null and leased_until <= now() returning ${columns}`.execute(db)
      if (resumed.rows[0] !== undefined) return resumed.rows[0]
      const { rows } = await sql<RetentionRun>`
        insert into retention_runs (holder, leased_until)
        select ${holder}::uuid, ${inSeconds(leaseSeconds)} where exists (select from retention_rules)
          and not exists (
            select from retention_runs where started_at > now() - make_interval(secs => ${dueAfterSeconds}))
        on conflict do nothing returning ${columns}`.execute(db)
      return rows[0]
    },

    /** Renews the lease. Returns false if another process has taken the run over. */
    async renew(id: string, leaseSeconds: number): Promise<boolean> {
      const { numAffectedRows } = await sql`
        update retention_runs set leased_until = ${inSeconds(leaseSeconds)} where ${isOwn(id)}`.execute(db)
      return numAffectedRows === 1n
    },

    async save(
      id: string,
      { lastName, namespaces, counts }: RetentionProgress,
      leaseSeconds: number,
    ): Promise<boolean> {
      const { tags, manifests, failures } = counts
      return inTransaction(db, async (tx) => {
        const { numAffectedRows } = await sql`
          update retention_runs set last_name = coalesce(${lastName ?? null}::text, last_name),
            leased_until = ${inSeconds(leaseSeconds)}
          where ${isOwn(id)}`.execute(tx)
        if (numAffectedRows !== 1n) return false
        await sql`
          insert into retention_run_counts (run_id, namespace, repositories, tags, manifests, failures)
          select ${id}::uuid, namespace, ${lastName === undefined ? 0 : 1}::integer, ${tags}::integer, ${manifests}::integer,
            ${failures}::integer
          from unnest(${sql.val([...namespaces])}::text[]) as namespace order by namespace
          on conflict (run_id, namespace) do update set
            repositories = retention_run_counts.repositories + excluded.repositories,
            tags = retention_run_counts.tags + excluded.tags,
            manifests = retention_run_counts.manifests + excluded.manifests,
            failures = retention_run_counts.failures + excluded.failures`.execute(tx)
        return true
      })
    },

    /** Finishes a run, and deletes runs that finished more than some days ago. */
    async finish(id: string, keptDays: number): Promise<void> {
      await sql`update retention_runs set finished_at = now() where ${isOwn(id)}`.execute(db)
      await sql`
        delete from retention_runs where finished_at < now() - make_interval(days => ${sql.lit(keptDays)})`.execute(
        db,
      )
    },

    /** Ends the lease, so that another process can resume the run at once. */
    async release(id: string): Promise<void> {
      await sql`update retention_runs set leased_until = now() where ${isOwn(id)}`.execute(db)
    },

    /** The newest runs, with their counts of one namespace. */
    async listRuns(namespace: string, limit: number): Promise<ListedRun[]> {
      const { rows } = await sql<ListedRun>`
        select id, started_at as "startedAt", finished_at as "finishedAt", coalesce(repositories, 0) as repositories,
          coalesce(tags, 0) as tags, coalesce(manifests, 0) as manifests, coalesce(failures, 0) as failures
        from retention_runs left join retention_run_counts on run_id = id and namespace = ${namespace}
        order by started_at desc limit ${limit}`.execute(db)
      return rows
    },
  }
}
