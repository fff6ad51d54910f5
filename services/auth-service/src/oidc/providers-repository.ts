import type { Database } from '@registry-manager/database'
import type { LogoutToken } from './provider.ts'
import type { StoredAttempt } from './provider-sign-in.ts'

/** Queries of sign-ins at providers, of linked people and of used logout tokens. */
export function createProvidersRepository(db: Database) {
  return {
    async insertAttempt(attempt: StoredAttempt): Promise<void> {
      const { stateHash, browserHash, provider, nonce, codeVerifier, returnTo, expiresAt } = attempt
      await db
        .insertInto('provider_sign_ins')
        .values({
          state_hash: stateHash,
          browser_hash: browserHash,
          provider,
          nonce,
          code_verifier: codeVerifier,
          return_to: returnTo ?? null,
          expires_at: expiresAt,
        })
        .execute()
    },

    /** Deletes an attempt that has not expired, and returns it. */
    async takeAttempt(
      wanted: Pick<StoredAttempt, 'stateHash' | 'browserHash' | 'provider'>,
      now: Date,
    ): Promise<Pick<StoredAttempt, 'nonce' | 'codeVerifier' | 'returnTo'> | undefined> {
      const row = await db
        .deleteFrom('provider_sign_ins')
        .where('state_hash', '=', wanted.stateHash)
        .where('browser_hash', '=', wanted.browserHash)
        .where('provider', '=', wanted.provider)
        .where('expires_at', '>', now)
        .returning(['nonce', 'code_verifier as codeVerifier', 'return_to as returnTo'])
        .executeTakeFirst()
      return row && { ...row, returnTo: row.returnTo ?? undefined }
    },

    async findLinked(issuer: string, subject: string): Promise<string | undefined> {
      const row = await db
        .selectFrom('provider_identities')
        .select('account_id')
        .where('issuer', '=', issuer)
        .where('subject', '=', subject)
        .executeTakeFirst()
      return row?.account_id
    },

    async isLinked(accountId: string): Promise<boolean> {
      const row = await db
        .selectFrom('provider_identities')
        .select('issuer')
        .where('account_id', '=', accountId)
        .executeTakeFirst()
      return row !== undefined
    },

    /** False if the person or the account is linked already. */
    async link(issuer: string, subject: string, accountId: string): Promise<boolean> {
      const row = await db
        .insertInto('provider_identities')
        .values({ issuer, subject, account_id: accountId })
        .onConflict((conflict) => conflict.doNothing())
        .returning('account_id')
        .executeTakeFirst()
      return row !== undefined
    },

    /** False if the logout token was used before. */
    async insertLogout(
      issuer: string,
      { id, expiresAt }: Pick<LogoutToken, 'id' | 'expiresAt'>,
    ): Promise<boolean> {
      const row = await db
        .insertInto('provider_logouts')
        .values({ issuer, jti: id, expires_at: expiresAt })
        .onConflict((conflict) => conflict.doNothing())
        .returning('jti')
        .executeTakeFirst()
      return row !== undefined
    },

    async findBySession(provider: string, session: string): Promise<string | undefined> {
      const row = await db
        .selectFrom('browser_sessions')
        .select('account_id')
        .where('provider', '=', provider)
        .where('provider_session', '=', session)
        .executeTakeFirst()
      return row?.account_id
    },
  }
}
