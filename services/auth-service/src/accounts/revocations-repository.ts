import type { Database } from '@registry-manager/database'

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

    /** Least generations by account id, of the revocations since a time. */
    async revocationsSince(since: Date): Promise<Map<string, number>> {
      const rows = await db
        .selectFrom('revocations')
        .select(['account_id', 'least_generation'])
        .where('revoked_at', '>=', since)
        .execute()
      return new Map(rows.map((row) => [row.account_id, row.least_generation]))
    },
  }
}
