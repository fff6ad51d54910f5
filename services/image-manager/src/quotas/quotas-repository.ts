import type { Database } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import { RESERVED_COMPONENT } from '@registry-manager/oci'
import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'
import { recordEventsIn } from '../events-repository.ts'
import type { ManifestReference } from '../index/manifest.ts'
import type { NamespaceUsage, Quota, QuotaDemand } from './quota.ts'
import { NO_QUOTA } from './quota.ts'

interface UsageRow {
  readonly namespace: string
  readonly bytes: number
  readonly repositories: number
  readonly counting: boolean
  readonly quotaBytes: number | null
  readonly quotaRepositories: number | null
  readonly softBytes: number | null
}

/**
 * All numbers as double: sums of sizes that clients state may be beyond the integers that JavaScript represents
 * exactly.
 */
const USAGE: RawBuilder<unknown> = sql`namespace_usage.namespace, bytes::float8 as bytes,
  repositories::float8 as repositories, counted_below is not null or recounted_below is not null as counting,
  quota_bytes::float8 as "quotaBytes", quota_repositories::float8 as "quotaRepositories",
  soft_bytes::float8 as "softBytes"`

/** Quotas and usage of namespaces. Triggers of the database count the usage (decision 40). */
export function createQuotasRepository(db: Database) {
  const findRow = async (
    within: Database,
    namespace: string,
    lock = sql``,
  ): Promise<UsageRow | undefined> => {
    const { rows } = await sql<UsageRow>`
      select ${USAGE} from namespace_usage where namespace = ${namespace} ${lock}`.execute(within)
    return rows[0]
  }

  return {
    /** The usage of a namespace: 0 if it never had a repository. */
    async findUsage(namespace: string): Promise<NamespaceUsage> {
      return toUsage(namespace, await findRow(db, namespace))
    },

    /**
     * The namespaces that use most bytes, and the number of all repositories, those without a namespace included. The
     * trash does not count.
     */
    async listLargest(limit: number): Promise<{ largest: NamespaceUsage[]; repositories: number }> {
      const { rows } = await sql<UsageRow>`
        select ${USAGE} from namespace_usage where namespace <> ${RESERVED_COMPONENT}
        order by namespace_usage.bytes desc, namespace limit ${limit}`.execute(db)
      const counted = await sql<{ repositories: number }>`
        select count(*)::float8 as repositories from all_repositories
        where not starts_with(name, ${`${RESERVED_COMPONENT}/`})`.execute(db)
      return {
        largest: rows.map((row) => toUsage(row.namespace, row)),
        repositories: counted.rows[0]?.repositories ?? 0,
      }
    },

    /**
     * Sets the quota, and records the event if that changes it. A namespace may use more than a new quota permits: only
     * pushes are refused then. After a change of the soft limit, the next push above the new one is reported, even if
     * an earlier push was reported already.
     */
    async setQuota(namespace: string, quota: Quota): Promise<NamespaceUsage> {
      return inTransaction(db, async (tx) => {
        await sql`insert into namespace_usage (namespace) values (${namespace}) on conflict do nothing`.execute(
          tx,
        )
        const before = toUsage(namespace, await findRow(tx, namespace, sql`for no key update`))
        const changed = (['bytes', 'repositories', 'softBytes'] as const).filter(
          (field) => before.quota[field] !== quota[field],
        )
        if (changed.length === 0) return before
        await tx
          .updateTable('namespace_usage')
          .set({
            quota_bytes: quota.bytes,
            quota_repositories: quota.repositories,
            soft_bytes: quota.softBytes,
            ...(changed.includes('softBytes') && { soft_crossed_at: null }),
          })
          .where('namespace', '=', namespace)
          .execute()
        const detail = Object.fromEntries(
          changed.map((field) => [field, { from: before.quota[field], to: quota[field] }]),
        )
        await recordEventsIn(tx)({ action: 'quota.update', target: { kind: 'namespace', namespace }, detail })
        return { ...before, quota }
      })
    },

    /** Starts a recount of a namespace's usage, and records the event. Does nothing while a count is under way. */
    async requestRecount(namespace: string): Promise<void> {
      await inTransaction(db, async (tx) => {
        const { numUpdatedRows } = await tx
          .updateTable('namespace_usage')
          .set({ recounted_below: '' })
          .where('namespace', '=', namespace)
          .where('counted_below', 'is', null)
          .where('recounted_below', 'is', null)
          .executeTakeFirstOrThrow()
        if (numUpdatedRows === 0n) return
        await recordEventsIn(tx)({ action: 'quota.recount', target: { kind: 'namespace', namespace } })
      })
    },

    /**
     * The demand of the push of a manifest at present. Digests that the first count has not reached do not count yet.
     */
    async findDemand(
      namespace: string,
      repository: string,
      digests: readonly Pick<ManifestReference, 'digest' | 'size'>[],
    ): Promise<QuotaDemand> {
      const { rows } = await sql<{ needed: number; isNew: boolean }>`
        with given as (
          select digest, max(size) as size from unnest(
            ${sql.val(digests.map(({ digest }) => digest))}::text[],
            ${sql.val(digests.map(({ size }) => size ?? 0))}::bigint[]) as given (digest, size)
          group by digest
        )
        select coalesce(sum(greatest(given.size - coalesce((
            select max(known.size) from namespace_blobs known
            where known.namespace = ${namespace} and known.digest = given.digest), 0), 0)), 0)::float8 as needed,
          not exists (select from all_repositories where name = ${repository}) as "isNew"
        from given where not exists (
          select from namespace_usage where namespace = ${namespace} and counted_below <= given.digest)`.execute(
        db,
      )
      const usage = toUsage(namespace, await findRow(db, namespace))
      return { usage, neededBytes: rows[0]?.needed ?? 0, isNewRepository: rows[0]?.isNew ?? false }
    },
  }
}

function toUsage(namespace: string, row: UsageRow | undefined): NamespaceUsage {
  if (row === undefined) return { namespace, bytes: 0, repositories: 0, counting: false, quota: NO_QUOTA }
  const { bytes, repositories, counting, quotaBytes, quotaRepositories, softBytes } = row
  const quota = { bytes: quotaBytes, repositories: quotaRepositories, softBytes }
  return { namespace, bytes, repositories, counting, quota }
}
