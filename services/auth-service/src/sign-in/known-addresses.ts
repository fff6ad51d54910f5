import type { Database } from '@registry-manager/database'
import { isDatabaseUnavailable } from '@registry-manager/database'
import { sql } from 'kysely'

export interface KnownAddresses {
  /** Notes that an account has signed in from an address (a /64 network for IPv6). */
  note(accountId: string, address: string): void
  /** Whether it did so before, as far as the database knows; false while that is away. */
  isKnown(accountId: string, address: string): Promise<boolean>
  start(): void
  /** Writes what was noted, and stops. */
  stop(): Promise<void>
}

const WRITE_MS = 5000
/** Noted at once at most; the rest is noted at the next sign-in. */
const MAX_NOTED = 10_000

/** Addresses of one account that are kept, the last ones. */
const MAX_PER_ACCOUNT = 500

/** Addresses in Postgres, written every few seconds for all accounts at once: no sign-in waits for that. */
export function createKnownAddresses(
  db: Database,
  now: () => number,
  onError: (error: unknown) => void,
): KnownAddresses {
  let noted = new Map<string, { id: string; address: string; at: Date }>()
  let timer: NodeJS.Timeout | undefined

  const writeAll = async () => {
    if (noted.size === 0) return
    const writing = noted
    noted = new Map()
    const given = JSON.stringify([...writing.values()])
    // Joined with the accounts: one that was deleted since must not keep the others from being written.
    const insert = sql`
      insert into known_addresses (account_id, address, seen_at)
      select accounts.id, noted.address, max(noted.at)
      from jsonb_to_recordset(${given}::jsonb)
        as noted (id uuid, address text, at timestamptz)
      join accounts on accounts.id = noted.id
      group by 1, 2 order by 1, 2
      on conflict (account_id, address) do update set seen_at = excluded.seen_at`
    const trim = sql`
      delete from known_addresses using (
        select account_id, address, row_number() over (partition by account_id order by seen_at desc) as place
        from known_addresses
        where account_id in (select id from jsonb_to_recordset(${given}::jsonb) as noted (id uuid))
      ) placed
      where place > ${MAX_PER_ACCOUNT}
        and known_addresses.account_id = placed.account_id and known_addresses.address = placed.address`
    try {
      await insert.execute(db)
      await trim.execute(db)
    } catch (error) {
      noted = new Map([...writing, ...noted].slice(0, MAX_NOTED))
      onError(error)
    }
  }
  const run = async () => {
    await writeAll()
    if (timer !== undefined) timer = setTimeout(run, WRITE_MS)
  }

  return {
    note(id, address) {
      if (noted.size < MAX_NOTED) noted.set(`${id} ${address}`, { id, address, at: new Date(now()) })
    },

    async isKnown(accountId, address) {
      try {
        const row = await db
          .selectFrom('known_addresses')
          .select('seen_at')
          .where('account_id', '=', accountId)
          .where('address', '=', address)
          .executeTakeFirst()
        return row !== undefined
      } catch (error) {
        if (isDatabaseUnavailable(error)) return false
        throw error
      }
    },

    start: () => {
      timer = setTimeout(run, WRITE_MS)
    },
    stop: async () => {
      clearTimeout(timer)
      timer = undefined
      await writeAll()
    },
  }
}
