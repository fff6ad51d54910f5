import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { Failure, FailureKind, RetryDelays, WorkItem } from './work-item.ts'

/** The maximum lengths of stored strings. Longer ones are cut: a key in a Postgres index may have 2,704 bytes. */
const [MAX_KEY, MAX_REASON] = [600, 500]

/** Items of background work that failed, with the number of tries and the time of the next one. */
export function createFailuresRepository(db: Database) {
  return {
    async recordFailure(
      { kind, item, repository, reference }: WorkItem,
      reason: string,
      { firstSeconds, maxSeconds }: RetryDelays,
    ): Promise<Failure> {
      // The exponent is limited, because interval arithmetic overflows long before power() does.
      const retryAt = (tries: unknown) =>
        sql<Date>`now() + make_interval(secs => least(
          ${sql.lit(maxSeconds)}, ${sql.lit(firstSeconds)} * power(2, least(${tries}, 20) - 1)))`
      return db
        .insertInto('background_failures')
        .values({
          kind,
          item: storable(item, MAX_KEY),
          repository: storable(repository, MAX_KEY),
          reference: storable(reference, MAX_KEY),
          reason: storable(reason, MAX_REASON),
          retry_at: retryAt(sql`1`),
        })
        .onConflict((conflict) =>
          conflict.columns(['kind', 'item']).doUpdateSet({
            tries: sql`background_failures.tries + 1`,
            reason: storable(reason, MAX_REASON),
            last_failed_at: sql`now()`,
            retry_at: retryAt(sql`background_failures.tries + 1`),
          }),
        )
        .returning(['tries', 'retry_at as retryAt'])
        .executeTakeFirstOrThrow()
    },

    async deleteFailure({ kind, item }: Pick<WorkItem, 'kind' | 'item'>): Promise<void> {
      await db
        .deleteFrom('background_failures')
        .where('kind', '=', kind)
        .where('item', '=', storable(item, MAX_KEY))
        .execute()
    },

    /** The failures of a repository and of its manifests, by item, and whether their retry is due. */
    async listFailures(
      repository: string,
      limit: number,
    ): Promise<ReadonlyMap<string, { readonly isDue: boolean }>> {
      const rows = await db
        .selectFrom('background_failures')
        .select(['item', sql<boolean>`retry_at <= now()`.as('isDue')])
        .where('repository', '=', storable(repository, MAX_KEY))
        .where('kind', 'in', ['repository', 'manifest'])
        .limit(limit)
        .execute()
      return new Map(rows.map(({ item, isDue }) => [item, { isDue }]))
    },

    async countFailures(): Promise<ReadonlyMap<FailureKind, number>> {
      const rows = await db
        .selectFrom('background_failures')
        .select(['kind', sql<string>`count(*)`.as('count')])
        .groupBy('kind')
        .execute()
      return new Map(rows.map(({ kind, count }) => [kind, Number(count)]))
    },

    /** Deletes failures of pushes and deletions that no longer exist, and those that were not tried for some days. */
    async deleteOldFailures(keptDays: number): Promise<void> {
      await sql`
        delete from background_failures where
          last_failed_at < now() - make_interval(days => ${sql.lit(keptDays)})
          or (kind = 'push' and not exists (select from pending_pushes where id::text = item))
          or (kind = 'deletion' and not exists (
            select from repositories where id::text = item and deleting_since is not null)
            and not exists (select from requested_deletions where id::text = item))`.execute(db)
    },
  }
}

/** A condition on rows whose id is the key of an item: the item has not failed, or its retry is due. */
export function isDue(
  kind: FailureKind,
  id: 'pending_pushes.id' | 'repositories.id' | 'requested_deletions.id',
) {
  return sql<boolean>`not exists (
    select from background_failures
    where kind = ${sql.lit(kind)} and item = ${sql.ref(id)}::text and retry_at > now())`
}

/** Cuts a string, and replaces the characters that Postgres cannot store: NUL and lone surrogates. */
function storable(text: string, length: number): string {
  return text.slice(0, length).toWellFormed().replaceAll('\0', '\uFFFD')
}
