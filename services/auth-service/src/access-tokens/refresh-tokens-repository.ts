import type { Database } from '@registry-manager/database'

export interface NewRefreshToken {
  /** SHA-256 of the refresh token. */
  readonly hash: Buffer
  readonly accountId: string
  readonly generation: number
  readonly service: string
  readonly clientId: string
  readonly usedAt: Date
}

export interface FoundRefreshToken {
  readonly id: string
  readonly accountId: string
  readonly usedAt: Date
}

/** Refresh tokens in Postgres, stored by their hash. */
export function createRefreshTokensRepository(db: Database) {
  return {
    async insert({ hash, accountId, generation, service, clientId, usedAt }: NewRefreshToken): Promise<void> {
      await db
        .insertInto('refresh_tokens')
        .values({
          token_hash: hash,
          account_id: accountId,
          generation,
          service,
          client_id: clientId,
          used_at: usedAt,
        })
        .execute()
    },

    /** Deletes an account's refresh tokens except the `count` most recently used ones. */
    async deleteLeastRecentlyUsed(accountId: string, count: number): Promise<void> {
      const recent = db
        .selectFrom('refresh_tokens')
        .select('id')
        .where('account_id', '=', accountId)
        .orderBy('used_at', 'desc')
        .limit(count)
      await db
        .deleteFrom('refresh_tokens')
        .where('account_id', '=', accountId)
        .where('id', 'not in', recent)
        .execute()
    },

    /** Finds a service's refresh token that was used after a time, if its account still has the token's generation. */
    async find(hash: Buffer, service: string, usedAfter: Date): Promise<FoundRefreshToken | undefined> {
      return db
        .selectFrom('refresh_tokens')
        .innerJoin('accounts', 'accounts.id', 'refresh_tokens.account_id')
        .select(['refresh_tokens.id', 'account_id as accountId', 'used_at as usedAt'])
        .whereRef('accounts.generation', '=', 'refresh_tokens.generation')
        .where('token_hash', '=', hash)
        .where('service', '=', service)
        .where('used_at', '>', usedAfter)
        .executeTakeFirst()
    },

    async setUsedAt(id: string, usedAt: Date): Promise<void> {
      await db.updateTable('refresh_tokens').set({ used_at: usedAt }).where('id', '=', id).execute()
    },
  }
}
