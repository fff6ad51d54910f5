import type { Database } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import { sql } from 'kysely'
import type { AffectedAccounts } from '../principals/account.ts'

export interface RevocationsRead {
  /** Lowest valid generations by account id. */
  readonly generations: ReadonlyMap<string, number>
  /** Give it to the next read, which then returns only the revocations that were committed since this one. */
  readonly cursor: string
}

/** Queries of revocations, which users and registry tokens share. They outlive their accounts. */
export function createRevocationsRepository(db: Database) {
  return {
    /** Revokes access tokens below a generation and all refresh tokens of an account. */
    async revoke(accountId: string, lowestGeneration: number): Promise<void> {
      const revocation = { least_generation: lowestGeneration, revoked_at: new Date() }
      await db
        .insertInto('revocations')
        .values({ account_id: accountId, ...revocation })
        .onConflict((conflict) => conflict.column('account_id').doUpdateSet(revocation))
        .execute()
      await db.deleteFrom('refresh_tokens').where('account_id', '=', accountId).execute()
    },

    /**
     * Raises the generation of accounts and of the members of groups, which revokes their access tokens: these carry
     * rights. Refresh tokens and browser sessions carry none, so they stay valid under the new generation. Returns the
     * new generations by account id. The groups are locked first, so that no concurrent change of their members is
     * missed.
     */
    async raiseGenerations({
      accountIds = [],
      groupIds = [],
    }: AffectedAccounts): Promise<Map<string, number>> {
      const [accounts, groups] = [sql`${sql.val(accountIds)}::uuid[]`, sql`${sql.val(groupIds)}::uuid[]`]
      await sql`select from groups where id = any(${groups}) order by id for update`.execute(db)
      const { rows } = await sql<{ id: string; generation: number }>`
        with affected as (
          select id from accounts
          where id in (
            select unnest(${accounts}) union select account_id from group_members where group_id = any(${groups}))
          order by id for update
        ), raised as (
          update accounts set generation = generation + 1, updated_at = now() from affected
          where accounts.id = affected.id returning accounts.id, accounts.generation
        ), renewed as (
          update refresh_tokens set generation = raised.generation from raised
          where refresh_tokens.account_id = raised.id and refresh_tokens.generation = raised.generation - 1
        ), continued as (
          update browser_sessions set generation = raised.generation from raised
          where browser_sessions.account_id = raised.id and browser_sessions.generation = raised.generation - 1
        ), revoked as (
          insert into revocations (account_id, least_generation, revoked_at)
          select id, generation, ${new Date()} from raised
          on conflict (account_id) do update
          set least_generation = excluded.least_generation, revoked_at = excluded.revoked_at
        )
        select id, generation from raised`.execute(db)
      return new Map(rows.map(({ id, generation }) => [id, generation]))
    },

    /** The lowest generation of an account that is not revoked; undefined when none was ever revoked. */
    async lowestGeneration(accountId: string): Promise<number | undefined> {
      const row = await db
        .selectFrom('revocations')
        .select('least_generation')
        .where('account_id', '=', accountId)
        .executeTakeFirst()
      return row?.least_generation
    },

    /**
     * Reads the revocations since a time; with a cursor, only those that were committed after the read that returned
     * the cursor. The cursor is the oldest transaction that was running during that read: rows of earlier transactions
     * were visible to it. It does not depend on clocks, nor on the order of commits. A cursor ahead of the database, as
     * after a restore, returns all.
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
export type OnRevoked = (accountId: string, lowestGeneration: number) => void

/**
 * Runs a transaction that may revoke accounts, and reports its revocations after the commit: this process applies them
 * at once, other replicas with their next poll.
 */
export async function inRevokingTransaction<Result>(
  db: Database,
  onRevoked: OnRevoked,
  work: (tx: Database, revocations: ReturnType<typeof createRevocationsRepository>) => Promise<Result>,
): Promise<Result> {
  const { result, revoked } = await inTransaction(db, async (tx) => {
    const revoked = new Map<string, number>()
    const repository = createRevocationsRepository(tx)
    const result = await work(tx, {
      ...repository,
      async revoke(accountId, lowestGeneration) {
        await repository.revoke(accountId, lowestGeneration)
        revoked.set(accountId, lowestGeneration)
      },
      async raiseGenerations(affected) {
        const raised = await repository.raiseGenerations(affected)
        for (const [accountId, generation] of raised) revoked.set(accountId, generation)
        return raised
      },
    })
    return { result, revoked }
  })
  for (const [accountId, lowestGeneration] of revoked) onRevoked(accountId, lowestGeneration)
  return result
}
