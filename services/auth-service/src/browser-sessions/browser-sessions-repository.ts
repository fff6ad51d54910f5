import type { Database } from '@registry-manager/database'
import type { NewSession, StoredSession } from './browser-sessions.ts'

/** Browser sessions in Postgres, stored by the hash of their secret. */
export function createBrowserSessionsRepository(db: Database) {
  return {
    async insert(session: NewSession): Promise<void> {
      const { hash, accountId, generation, createdAt, expiresAt, provider, providerSession } = session
      await db
        .insertInto('browser_sessions')
        .values({
          token_hash: hash,
          account_id: accountId,
          generation,
          created_at: createdAt,
          used_at: createdAt,
          expires_at: expiresAt,
          provider: provider ?? null,
          provider_session: providerSession ?? null,
        })
        .execute()
    },

    /** Deletes an account's sessions except the `count` newest ones. */
    async deleteOldest(accountId: string, count: number): Promise<void> {
      const newest = db
        .selectFrom('browser_sessions')
        .select('token_hash')
        .where('account_id', '=', accountId)
        .orderBy('created_at', 'desc')
        .limit(count)
      await db
        .deleteFrom('browser_sessions')
        .where('account_id', '=', accountId)
        .where('token_hash', 'not in', newest)
        .execute()
    },

    /** Finds a session that is neither expired nor idle, if its account still has the session's generation. */
    async find(hash: Buffer, now: Date, usedAfter: Date): Promise<StoredSession | undefined> {
      return db
        .selectFrom('browser_sessions')
        .innerJoin('accounts', 'accounts.id', 'browser_sessions.account_id')
        .select(['account_id as accountId', 'used_at as usedAt', 'expires_at as expiresAt'])
        .whereRef('accounts.generation', '=', 'browser_sessions.generation')
        .where('token_hash', '=', hash)
        .where('expires_at', '>', now)
        .where('used_at', '>', usedAfter)
        .executeTakeFirst()
    },

    async setUsedAt(hash: Buffer, usedAt: Date): Promise<void> {
      await db
        .updateTable('browser_sessions')
        .set({ used_at: usedAt })
        .where('token_hash', '=', hash)
        .execute()
    },

    /** Whether there was such a session. */
    async delete(hash: Buffer): Promise<boolean> {
      const deleted = await db
        .deleteFrom('browser_sessions')
        .where('token_hash', '=', hash)
        .returning('account_id')
        .executeTakeFirst()
      return deleted !== undefined
    },
  }
}
