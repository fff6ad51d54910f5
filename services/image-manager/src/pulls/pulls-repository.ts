import type { Database } from '@registry-manager/database'
import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'
import type { PullCount } from './pull-count.ts'
import type { GoneKind, PullsKey } from './remove-old-pulls.ts'

/** Number of batches that one statement removes. */
const BATCHES = 10_000

const TABLES = {
  tag: { pulls: sql.ref('tag_pulls'), named: sql.ref('tag'), of: sql.ref('tags'), name: sql.ref('name') },
  manifest: {
    pulls: sql.ref('manifest_pulls'),
    named: sql.ref('digest'),
    of: sql.ref('all_manifests'),
    name: sql.ref('digest'),
  },
} as const

/** The numbers of pulls of tags and manifests, and the times of the last pulls. */
export function createPullsRepository(db: Database) {
  const array = (values: readonly unknown[], type: RawBuilder<unknown>) =>
    sql`${sql.val([...values])}::${type}[]`

  return {
    /**
     * Adds a batch of counts, in one statement. Does nothing if the batch was added before. Ignores tags and manifests
     * that the index does not have. All batches lock rows in the same order, so they cannot deadlock.
     */
    async addPulls(batch: string, pulls: readonly PullCount[]): Promise<void> {
      const [text, whole, time] = [sql`text`, sql`bigint`, sql`timestamptz`]
      await sql`
        with batch as (
          insert into pull_batches (id) values (${batch}) on conflict do nothing returning id
        ), given as (
          select * from unnest(
            ${array(
              pulls.map(({ repository }) => repository),
              text,
            )},
            ${array(
              pulls.map(({ digest }) => digest),
              text,
            )},
            ${array(
              pulls.map(({ tag = null }) => tag),
              text,
            )},
            ${array(
              pulls.map(({ count }) => count),
              whole,
            )},
            ${array(
              pulls.map(({ lastAt }) => lastAt.toISOString()),
              time,
            )}
          ) as pull (repository, named, tag, count, last_at)
          where exists (select from batch)
        ), pulled as materialized (
          select repository_id, digest, tag, count, least(last_at, now()) as last_at
          from given join repositories on repositories.name = repository
          cross join lateral (
            select repository_id, digest from manifests
            where repository_id = repositories.id and digest = named
            union all
            select repository_id, digest from manifests
            where repository_id = repositories.id and sha512 = named and named like 'sha512:%'
          ) as manifest
        ), by_tag as (
          insert into tag_pulls (repository_id, tag, pulls, last_pulled_at)
          select pulled.repository_id, tags.name, sum(count), max(last_at)
          from pulled join tags on tags.repository_id = pulled.repository_id and tags.name = pulled.tag
          group by 1, 2 order by 1, 2
          on conflict (repository_id, tag) do update set pulls = tag_pulls.pulls + excluded.pulls,
            last_pulled_at = greatest(tag_pulls.last_pulled_at, excluded.last_pulled_at)
        )
        insert into manifest_pulls (repository_id, digest, pulls, last_pulled_at)
        select repository_id, digest, sum(count), max(last_at) from pulled group by 1, 2 order by 1, 2
        on conflict (repository_id, digest) do update set pulls = manifest_pulls.pulls + excluded.pulls,
          last_pulled_at = greatest(manifest_pulls.last_pulled_at, excluded.last_pulled_at)`.execute(db)
    },

    /** Removes batches that were added before a time, at most some thousand. Returns whether there may be more. */
    async removeBatches(before: Date): Promise<boolean> {
      const { rows } = await sql<{ count: number }>`
        with gone as (
          delete from pull_batches where id = any(array(
            select id from pull_batches where added_at < ${before} limit ${BATCHES} for update skip locked))
          returning 1)
        select count(*)::integer as count from gone`.execute(db)
      return rows[0]?.count === BATCHES
    },

    /**
     * Reads one page of the counts after a key. Removes the counts of deleted tags or manifests that were last pulled
     * before a time. Returns the last key of the page; undefined after the last page.
     */
    async removeGonePulls(
      kind: GoneKind,
      before: Date,
      after: PullsKey | undefined,
      limit: number,
    ): Promise<PullsKey | undefined> {
      const { pulls, named, of, name } = TABLES[kind]
      const start =
        after && sql`where (repository_id, ${named}) > (${after.repositoryId}::uuid, ${after.name})`
      const { rows } = await sql<PullsKey>`
        with page as (
          select repository_id, ${named} as name, last_pulled_at from ${pulls} ${start ?? sql``}
          order by repository_id, ${named} limit ${limit}
        ), gone as (
          delete from ${pulls} using page
          where ${pulls}.repository_id = page.repository_id and ${pulls}.${named} = page.name
            and page.last_pulled_at < ${before} and ${pulls}.last_pulled_at < ${before}
            and not exists (
              select from ${of} where ${of}.repository_id = page.repository_id and ${of}.${name} = page.name)
        )
        select repository_id as "repositoryId", name from page order by repository_id, name offset ${limit - 1}`.execute(
        db,
      )
      return rows[0]
    },
  }
}
