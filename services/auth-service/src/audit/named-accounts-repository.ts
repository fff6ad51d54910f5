import type { Database } from '@registry-manager/database'
import { rightsOf } from '../accounts/accounts-repository.ts'
import { isPast } from '../principals/registry-token.ts'
import type { NamedAccount } from './sign-in-log.ts'

/** Finds users and registry tokens by their names. */
export function createNamedAccountsRepository(db: Database, now: () => number) {
  return {
    /** By their names in lower case; names without an account are absent. */
    async findAccounts(names: readonly string[]): Promise<ReadonlyMap<string, NamedAccount>> {
      const rows = await db
        .selectFrom('accounts')
        .leftJoin('registry_tokens', 'registry_tokens.account_id', 'accounts.id')
        .selectAll('accounts')
        .select(['registry_tokens.name as token_name', 'registry_tokens.expires_at'])
        .where('username', 'in', names)
        .execute()
      return new Map(
        rows.map((row) => {
          const { id, username, token_name: tokenName, expires_at: expiresAt } = row
          const isExpired = expiresAt !== null && isPast(expiresAt, now())
          const state = rightsOf(row).enabled ? (isExpired ? 'expired' : 'enabled') : 'disabled'
          const kind = tokenName === null ? 'user' : 'registry-token'
          return [username, { kind, id, name: tokenName ?? username, state }] as const
        }),
      )
    },
  }
}
