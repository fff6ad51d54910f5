import type { BackgroundFailuresTable, Database } from '@registry-manager/database'
import { sql } from 'kysely'

export type FailureKind = BackgroundFailuresTable['kind']
export const FAILURE_KINDS = ['push', 'deletion', 'repository', 'manifest'] as const

/** One thing that background work does. */
export interface WorkItem {
  readonly kind: FailureKind
  /** Its key among those of its kind. */
  readonly item: string
  readonly repository: string
  /** A tag or a digest; empty where the item is all of a repository. */
  readonly reference: string
}

export interface Failure {
  readonly tries: number
  readonly retryAt: Date
}

/** How long a failure is remembered after the last try, in days: what still fails is tried once a day at least. */
const KEPT_DAYS = 30
/** As many as are read of one repository. */
const MAX_READ = 10_000
/** Longer texts are cut: the key of an index may have 2,704 bytes. */
const [MAX_KEY, MAX_REASON] = [600, 500]

export type BackgroundFailures = ReturnType<typeof createBackgroundFailures>

/** Items of background work that failed, with how often: each is tried again later, the more often it failed the later. */
export function createBackgroundFailures(db: Database) {
  return {
    /** Counts one more failure. The next try is a minute later, then two, four, up to a day. */
    async noteFailure({ kind, item, repository, reference }: WorkItem, reason: string): Promise<Failure> {
      const retryAt = (tries: unknown) =>
        sql<Date>`now() + least(interval '1 day', interval '1 minute' * power(2, least(${tries}, 20) - 1))`
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

    async forgetFailure({ kind, item }: Pick<WorkItem, 'kind' | 'item'>): Promise<void> {
      await db
        .deleteFrom('background_failures')
        .where('kind', '=', kind)
        .where('item', '=', storable(item, MAX_KEY))
        .execute()
    },

    /** What failed of one repository, by item: whether it is due again. */
    async listFailures(repository: string): Promise<ReadonlyMap<string, { readonly isDue: boolean }>> {
      const rows = await db
        .selectFrom('background_failures')
        .select(['item', sql<boolean>`retry_at <= now()`.as('isDue')])
        .where('repository', '=', storable(repository, MAX_KEY))
        .where('kind', 'in', ['repository', 'manifest'])
        .limit(MAX_READ)
        .execute()
      return new Map(rows.map(({ item, isDue }) => [item, { isDue }]))
    },

    /** How many items fail now, by kind. */
    async countFailures(): Promise<ReadonlyMap<FailureKind, number>> {
      const rows = await db
        .selectFrom('background_failures')
        .select(['kind', sql<string>`count(*)`.as('count')])
        .groupBy('kind')
        .execute()
      return new Map(rows.map(({ kind, count }) => [kind, Number(count)]))
    },

    /** Forgets the failures of what is gone: pushes and deletions that ended otherwise, and what was not tried for long. */
    async forgetOldFailures(): Promise<void> {
      await sql`
        delete from background_failures where
          last_failed_at < now() - make_interval(days => ${sql.lit(KEPT_DAYS)})
          or (kind = 'push' and not exists (select from admissions where id::text = item))
          or (kind = 'deletion' and not exists (
            select from repositories where id::text = item and deleting_since is not null))`.execute(db)
    },
  }
}

/** A condition on rows whose id is an item's key: that it did not fail, or is due again. */
export function isDue(kind: FailureKind, id: 'admissions.id' | 'repositories.id') {
  return sql<boolean>`not exists (
    select from background_failures
    where kind = ${sql.lit(kind)} and item = ${sql.ref(id)}::text and retry_at > now())`
}

/** Postgres holds no NUL in a text, and no half of a surrogate pair. */
function storable(text: string, length: number): string {
  return text.slice(0, length).toWellFormed().replaceAll('\0', '\uFFFD')
}
