import { createHash, randomBytes } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import type { Account } from '../accounts/account.ts'

/** Unused for this long, a refresh token is dead. */
export const UNUSED_DAYS = 90
/** An account has this many at the most; the longest unused gives way. */
const MAX_PER_ACCOUNT = 100
/** Its last use is written at most once in this time. A longer one would evict sessions that are in use. */
const USED_AT_STEP_MS = 60_000

export type RefreshTokensRepository = ReturnType<typeof createRefreshTokensRepository>

/** Refresh tokens in Postgres, by their SHA-256 alone. They are random, so a fast hash is enough. */
export function createRefreshTokensRepository(db: Database, now: () => number) {
  return {
    /** Makes a token and answers it, this once. */
    async issue(account: Account, service: string, clientId: string): Promise<string> {
      const token = `rmr_${randomBytes(32).toString('base64url')}`
      const { id: account_id, generation } = account
      // What a client calls itself is for people to read; Postgres has no text with NUL in it.
      const client_id = clientId.replaceAll('\0', '').slice(0, 255)
      await db
        .insertInto('refresh_tokens')
        .values({
          token_hash: hashOf(token),
          account_id,
          generation,
          service,
          client_id,
          used_at: new Date(now()),
        })
        .execute()
      const kept = db
        .selectFrom('refresh_tokens')
        .select('id')
        .where('account_id', '=', account_id)
        .orderBy('used_at', 'desc')
        .limit(MAX_PER_ACCOUNT)
      await db
        .deleteFrom('refresh_tokens')
        .where('account_id', '=', account_id)
        .where('id', 'not in', kept)
        .execute()
      return token
    },

    /** The id of the account that a live token of this service belongs to. */
    async findAccountId(token: string, service: string): Promise<string | undefined> {
      const row = await db
        .selectFrom('refresh_tokens')
        .innerJoin('accounts', 'accounts.id', 'refresh_tokens.account_id')
        .select(['refresh_tokens.id', 'account_id', 'used_at'])
        .whereRef('accounts.generation', '=', 'refresh_tokens.generation')
        .where('token_hash', '=', hashOf(token))
        .where('service', '=', service)
        .where('used_at', '>', new Date(now() - UNUSED_DAYS * 86_400_000))
        .executeTakeFirst()
      if (row !== undefined && now() - row.used_at.getTime() > USED_AT_STEP_MS) {
        await db
          .updateTable('refresh_tokens')
          .set({ used_at: new Date(now()) })
          .where('id', '=', row.id)
          .execute()
      }
      return row?.account_id
    },

    async revokeAll(accountId: string): Promise<void> {
      await db.deleteFrom('refresh_tokens').where('account_id', '=', accountId).execute()
    },
  }
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
