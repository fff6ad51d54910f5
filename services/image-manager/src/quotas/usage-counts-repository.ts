import type { Database } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'
import type { UncountedNamespace } from './count-usage.ts'

/** Counts the usage of namespaces, from the manifests of the index. */
export function createUsageCountsRepository(db: Database) {
  return {
    /** A namespace whose first count or recount is under way. */
    async findUncounted(maxManifests: number): Promise<UncountedNamespace | undefined> {
      const { rows } = await sql<UncountedNamespace>`
        select namespace, coalesce(counted_below, recounted_below) as "countedBelow", (
            select count(*) from (
              select from all_manifests join all_repositories on all_repositories.id = repository_id
              where name >= namespace || '/' and name < namespace || '0' limit ${maxManifests}) manifests
          )::integer as manifests
        from namespace_usage where counted_below is not null or recounted_below is not null
        order by namespace limit 1`.execute(db)
      return rows[0]
    },

    /**
     * Replaces the counts of the digests from `countedBelow` on and below a bound. The lock on the row of the namespace
     * comes first. A transaction that has counted its change holds the lock until its commit. Any other waits for the
     * step, and then counts its change with the new bound. The statements that follow the lock therefore see exactly
     * the rows that are counted. The last call sums everything, so that a sum that was wrong before is right.
     */
    async countBelow({ namespace, countedBelow }: UncountedNamespace, bound: string | null): Promise<void> {
      await inTransaction(db, async (tx) => {
        const { rows } = await sql<{ isFirst: boolean }>`
          select counted_below is not null as "isFirst" from namespace_usage
          where namespace = ${namespace} and coalesce(counted_below, recounted_below) = ${countedBelow}
          for no key update`.execute(tx)
        const [row] = rows
        if (row === undefined) return
        const within = sql`digest >= ${countedBelow} and ${bound === null ? sql`true` : sql`digest < ${bound}`}`
        const sumOf = (digests: RawBuilder<unknown>) => sql`(
          select coalesce(sum(size), 0) from (
            select max(size) as size from namespace_blobs where namespace = ${namespace} and ${digests}
            group by digest) counted)`
        await sql`update namespace_usage set bytes = bytes - ${sumOf(within)} where namespace = ${namespace}`.execute(
          tx,
        )
        await sql`delete from namespace_blobs where namespace = ${namespace} and ${within}`.execute(tx)
        await sql`
          insert into namespace_blobs (namespace, digest, size, uses)
          select ${namespace}, digest, size, count(*) from (
            select digest, coalesce(size, 0) as size from all_manifests
            where repository_id = any (array(${repositoriesOf(namespace)})) and ${within}
            union all
            select digest, coalesce(size, 0) from manifest_references
            where repository_id = any (array(${repositoriesOf(namespace)})) and ${within} and kind <> 'manifest'
          ) used group by digest, size`.execute(tx)
        await sql`
          update namespace_usage set
            bytes = ${bound === null ? sumOf(sql`true`) : sql`bytes + ${sumOf(within)}`},
            repositories = (select count(*) from (${repositoriesOf(namespace)}) own),
            ${row.isFirst ? sql`counted_below` : sql`recounted_below`} = ${bound}
          where namespace = ${namespace}`.execute(tx)
      })
    },
  }
}

/** The ids of the repositories of a namespace. `0` follows `/` in byte order. */
function repositoriesOf(namespace: string) {
  return sql`select id from all_repositories where name >= ${`${namespace}/`} and name < ${`${namespace}0`}`
}
