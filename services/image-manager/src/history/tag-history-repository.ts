import type { Database } from '@registry-manager/database'
import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'
import type { HistoryPage, TagPeriod } from './tag-history.ts'

/** Number of rows that one statement removes. */
const BATCH = 1000

/** Reads the history of tags, which a trigger writes (migration 2026-12-07-tag-history). */
export function createTagHistoryRepository(db: Database) {
  /** The periods of a tag for which a condition holds, the newest first. */
  const readPeriods = async (
    repositoryId: string,
    tag: string,
    condition: RawBuilder<unknown>,
    limit: number,
  ): Promise<readonly TagPeriod[]> => {
    const { rows } = await sql<TagPeriod>`
      select id::text as id, digest, previous, "startedAt", "startedBy", "endedAt", "endedBy",
        exists (select from manifests where repository_id = ${repositoryId} and manifests.digest = period.digest) as "exists"
      from (
        select id, digest, previous, started_at as "startedAt", started_by as "startedBy", ended_at as "endedAt",
          ended_by as "endedBy"
        from tag_history where repository_id = ${repositoryId} and tag = ${tag}
        union all
        -- A tag that has not changed since the history was introduced.
        select null, digest, null, updated_at, null, null, null from tags
        where repository_id = ${repositoryId} and name = ${tag} and not exists (
          select from tag_history where repository_id = ${repositoryId} and tag = ${tag} and ended_at is null)
      ) period
      where ${condition} order by period.id desc nulls first limit ${limit}`.execute(db)
    return rows
  }
  const findPeriod = async (repositoryId: string, tag: string, condition: RawBuilder<unknown>) =>
    (await readPeriods(repositoryId, tag, condition, 1))[0]

  return {
    /** The periods of a tag, the newest first. */
    listPeriods: (repositoryId: string, tag: string, { limit, before }: HistoryPage) =>
      readPeriods(repositoryId, tag, before === undefined ? sql`true` : sql`id < ${before}::bigint`, limit),

    /** The period of a tag that contains a time. */
    findPeriodAt: (repositoryId: string, tag: string, time: Date) =>
      findPeriod(
        repositoryId,
        tag,
        sql`"startedAt" <= ${time} and ("endedAt" is null or "endedAt" > ${time})`,
      ),

    /** The newest period during which a tag named a digest. */
    findPeriodOf: (repositoryId: string, tag: string, digest: string) =>
      findPeriod(repositoryId, tag, sql`digest = ${digest}`),

    /** Removes periods that ended before a time, at most a batch. Returns whether there may be more. */
    async removePeriods(before: Date): Promise<boolean> {
      const { rows } = await sql<{ count: number }>`
        with gone as (
          delete from tag_history where id = any(array(
            select id from tag_history where ended_at < ${before} limit ${BATCH} for update skip locked))
          returning 1)
        select count(*)::integer as count from gone`.execute(db)
      return rows[0]?.count === BATCH
    },
  }
}
