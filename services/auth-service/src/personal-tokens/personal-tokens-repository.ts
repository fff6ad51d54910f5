import type { Database, PersonalTokensTable } from '@registry-manager/database'
import type { Conditions } from '@registry-manager/principal'
import type { Selectable } from 'kysely'
import { sql } from 'kysely'
import type { ManagedPersonalToken } from '../principals/personal-token.ts'
import type { TokenUse } from '../sign-in/last-used.ts'
import type { NewPersonalToken, PersonalTokenPage } from './manage-personal-tokens.ts'

/** Personal tokens in Postgres. */
export function createPersonalTokensRepository(db: Database) {
  const personalTokens = db
    .selectFrom('personal_tokens')
    .innerJoin('accounts', 'accounts.id', 'personal_tokens.account_id')
    .selectAll('personal_tokens')
    .select('username')

  return {
    async findById(id: string): Promise<ManagedPersonalToken | undefined> {
      const row = await personalTokens.where('personal_tokens.id', '=', id).executeTakeFirst()
      return row && toManaged(row)
    },

    async findByHash(secretHash: Buffer): Promise<ManagedPersonalToken | undefined> {
      const row = await personalTokens.where('secret_hash', '=', secretHash).executeTakeFirst()
      return row && toManaged(row)
    },

    /** Names are compared case-insensitively. */
    async findByName(ownerId: string, name: string): Promise<ManagedPersonalToken | undefined> {
      const row = await personalTokens
        .where('account_id', '=', ownerId)
        .where(sql<boolean>`lower(name) = ${name.toLowerCase()}`)
        .executeTakeFirst()
      return row && toManaged(row)
    },

    async list(ownerId: string, { limit, after }: PersonalTokenPage): Promise<ManagedPersonalToken[]> {
      const rows = await personalTokens
        .where('account_id', '=', ownerId)
        .where('name', '>', after)
        .orderBy('name')
        .limit(limit)
        .execute()
      return rows.map(toManaged)
    },

    /**
     * The number of the owner's personal tokens that have not expired. Concurrent creations of the same owner wait for
     * each other: the number cannot exceed its limit.
     */
    async lockOwner(ownerId: string, now: Date): Promise<number | undefined> {
      const owner = await db
        .selectFrom('accounts')
        .select('id')
        .where('id', '=', ownerId)
        .forNoKeyUpdate()
        .executeTakeFirst()
      if (owner === undefined) return undefined
      const { count } = await db
        .selectFrom('personal_tokens')
        .select((eb) => eb.fn.countAll().as('count'))
        .where('account_id', '=', ownerId)
        .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now)]))
        .executeTakeFirstOrThrow()
      return Number(count)
    },

    async insert({
      ownerId,
      name,
      scopes,
      expiresAt,
      conditions,
      secretHash,
    }: NewPersonalToken): Promise<string | undefined> {
      const row = await db
        .insertInto('personal_tokens')
        .values({
          account_id: ownerId,
          name,
          scopes: scopes && JSON.stringify(scopes),
          expires_at: expiresAt,
          conditions: conditions ? JSON.stringify(conditions) : null,
          secret_hash: secretHash,
        })
        .onConflict((conflict) => conflict.doNothing())
        .returning('id')
        .executeTakeFirst()
      return row?.id
    },

    async delete(id: string): Promise<boolean> {
      const { numDeletedRows } = await db
        .deleteFrom('personal_tokens')
        .where('id', '=', id)
        .executeTakeFirstOrThrow()
      return numDeletedRows > 0n
    },

    /** Saves last uses in one statement. An older use never replaces a newer one. */
    async saveUses(uses: readonly TokenUse[]): Promise<void> {
      await sql`
        update personal_tokens set last_used_at = used.at, last_used_address = used.address
        from jsonb_to_recordset(${JSON.stringify(uses)}::jsonb) as used (id uuid, at timestamptz, address text)
        where personal_tokens.id = used.id and (last_used_at is null or last_used_at < used.at)`.execute(db)
    },
  }
}

function toManaged(
  row: Selectable<PersonalTokensTable> & { readonly username: string },
): ManagedPersonalToken {
  const { id, name, scopes, expires_at: expiresAt, created_at: createdAt, last_used_at: at } = row
  return {
    id,
    name,
    scopes,
    expiresAt,
    conditions: (row.conditions ?? undefined) as Conditions | undefined,
    owner: { id: row.account_id, username: row.username },
    createdAt,
    lastUsed: at ? { at, address: row.last_used_address ?? '' } : undefined,
  }
}
