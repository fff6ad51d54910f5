import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'

export interface RevocationsRead {
  /** Least valid generations by account id. */
  readonly generations: ReadonlyMap<string, number>
  /** Give it to the next read, which then returns only what was committed since this one. */
  readonly cursor: string
}

/** Queries of revocations, which users and registry tokens share. They outlive their accounts. */
export function createRevocationsRepository(db: Database) {
  return {
    /** Revokes access tokens below a generation and all refresh tokens of an account. */
    async revoke(accountId: string, leastGeneration: number): Promise<void> {
      const revocation = { least_generation: leastGeneration, revoked_at: new Date() }
      await db
        .insertInto('revocations')
        .values({ account_id: accountId, ...revocation })
        .onConflict((conflict) => conflict.column('account_id').doUpdateSet(revocation))
        .execute()
      await db.deleteFrom('refresh_tokens').where('account_id', '=', accountId).execute()
    },

    /** The least generation of an account that is not revoked; undefined when none was ever revoked. */
    async leastGeneration(accountId: string): Promise<number | undefined> {
      const row = await db
        .selectFrom('revocations')
        .select('least_generation')
        .where('account_id', '=', accountId)
        .executeTakeFirst()
      return row?.least_generation
    },

    /**
     * Reads the revocations since a time; with a cursor, those of them that were committed after the read that returned
     * it. The cursor is the oldest transaction that was running then: rows of earlier ones were visible. It does not
     * depend on clocks, nor on the order of commits. A cursor ahead of the database, as after a restore, returns all.
     * Source: PostgreSQL, "System Columns", xmin;
     * "System Information Functions", pg_snapshot_xmin.
     */
    async revocationsSince(since: Date, cursor: string | null = null): Promise<RevocationsRead> {
      const { rows } = await sql<{ cursor: string; generations: Record<string, number> | null }>`
        with horizon as (select pg_snapshot_xmin(pg_current_snapshot()) as oldest)
        select oldest::text as cursor, (
          select json_object_agg(account_id, least_generation) from revocations
          where revoked_at >= ${since} and (${cursor}::text is null or ${cursor}::text::xid8 > oldest
            or age(xmin) <= age(${cursor}::text::xid8::xid))
        ) as generations
        from horizon`.execute(db)
      const [row] = rows
      if (row === undefined) throw new Error('the revocations could not be read: the query returned no row')
      return { generations: new Map(Object.entries(row.generations ?? {})), cursor: row.cursor }
    },
  }
}

/** Receives a revocation after its transaction was committed: accounts below this generation are revoked. */
export type OnRevoked = (accountId: string, leastGeneration: number) => void

/**
 * Runs a transaction that may revoke accounts, and reports its revocations after the commit: this process applies them
 * at once, other replicas with their next poll.
 */
export async function inRevokingTransaction<Result>(
  db: Database,
  onRevoked: OnRevoked,
  work: (tx: Database, revocations: ReturnType<typeof createRevocationsRepository>) => Promise<Result>,
): Promise<Result> {
  const revoked = new Map<string, number>()
  const result = await db.transaction().execute((tx) => {
    const repository = createRevocationsRepository(tx)
    return work(tx, {
      ...repository,
      async revoke(accountId, leastGeneration) {
        await repository.revoke(accountId, leastGeneration)
        revoked.set(accountId, leastGeneration)
      },
    })
  })
  for (const [accountId, leastGeneration] of revoked) onRevoked(accountId, leastGeneration)
  return result
}
