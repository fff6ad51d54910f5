import type { Database } from '@registry-manager/database'
import type { Conditions } from '@registry-manager/principal'
import { sql } from 'kysely'
import { toAccount } from '../accounts/accounts-repository.ts'
import type { AccountPrincipal } from '../principals/principal.ts'
import { effectiveGrants, toEffectiveGrants } from './effective-grants-repository.ts'
import type { KeysetPage } from './page.ts'

/** Queries of the accounts that have rights on a repository. */
export function createAccountsWithAccessRepository(db: Database) {
  return {
    /**
     * Enabled accounts by name: cluster administrators, users of these namespaces, and users and registry tokens with
     * grants or scopes of these patterns. Grants of the patterns are in these namespaces or in `*`. One statement.
     */
    async listWithRights(
      {
        patterns,
        namespaces,
      }: { readonly patterns: readonly string[]; readonly namespaces: readonly string[] },
      { after = '', limit }: KeysetPage,
    ): Promise<AccountPrincipal[]> {
      const [pattern, namespace] = [sql`${sql.val(patterns)}::text[]`, sql`${sql.val(namespaces)}::text[]`]
      const covering = sql`
        grants.namespace = any(array['*'] || ${namespace}) and grants.repositories = any(${pattern})`
      const rows = await db
        .selectFrom('accounts')
        .leftJoin('registry_tokens', 'registry_tokens.account_id', 'accounts.id')
        .selectAll('accounts')
        .select(effectiveGrants)
        .select(['registry_tokens.name as token_name', 'scopes', 'expires_at', 'conditions'])
        .where('enabled', '=', true)
        .where('username', '>', after)
        .where(
          sql<boolean>`(
            accounts.role = 'cluster-administrator' or directory_role = 'cluster-administrator'
            or namespaces && ${namespace} or directory_namespaces && ${namespace}
            or accounts.id in (select account_id from grants where account_id is not null and ${covering})
            or accounts.id in (
              select group_members.account_id from group_members
              join grants on grants.group_id = group_members.group_id where ${covering})
            or exists (
              select from jsonb_array_elements(scopes) scope where scope ->> 'name' = any(${pattern})))`,
        )
        .orderBy('username')
        .limit(limit)
        .execute()
      return rows.map((row): AccountPrincipal => {
        const { token_name: name, scopes, expires_at: expiresAt, conditions, ...account } = row
        if (name === null || scopes === null) return toAccount(account)
        const { id, enabled, generation } = account
        const grants = toEffectiveGrants(account.grants)
        const found = { id, username: name, enabled, scopes, grants, expiresAt, generation }
        return { ...found, conditions: (conditions ?? undefined) as Conditions | undefined }
      })
    },
  }
}
