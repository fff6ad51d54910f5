import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { SeenAddress } from './known-addresses.ts'

/** Queries of the addresses from which accounts have signed in. */
export function createKnownAddressesRepository(db: Database) {
  return {
    /** Upserts addresses of all accounts in one statement. Skips accounts that were deleted in the meantime. */
    async save(seen: readonly SeenAddress[]): Promise<void> {
      await sql`
        insert into known_addresses (account_id, address, seen_at)
        select accounts.id, seen.address, max(seen.at)
        from jsonb_to_recordset(${JSON.stringify(seen)}::jsonb)
          as seen (id uuid, address text, at timestamptz)
        join accounts on accounts.id = seen.id
        group by 1, 2 order by 1, 2
        on conflict (account_id, address) do update set seen_at = excluded.seen_at`.execute(db)
    },

    /** Deletes all but the last addresses of each of some accounts. */
    async trim(accountIds: readonly string[], maxPerAccount: number): Promise<void> {
      await sql`
        delete from known_addresses using (
          select account_id, address, row_number() over (partition by account_id order by seen_at desc) as place
          from known_addresses
          where account_id = any(${sql.val(accountIds)}::uuid[])
        ) placed
        where place > ${maxPerAccount}
          and known_addresses.account_id = placed.account_id and known_addresses.address = placed.address`.execute(
        db,
      )
    },

    async has(accountId: string, address: string): Promise<boolean> {
      const row = await db
        .selectFrom('known_addresses')
        .select('seen_at')
        .where('account_id', '=', accountId)
        .where('address', '=', address)
        .executeTakeFirst()
      return row !== undefined
    },
  }
}
