import type { AccountsTable, Database, RegistryTokensTable } from '@registry-manager/database'
import type { Selectable } from 'kysely'
import { sql } from 'kysely'
import type { TokenPlan } from './plan-registry-token.ts'
import type { Actor, ManagedToken, RegistryToken, StoredRegistryToken } from './registry-token.ts'
import type { TokenUse } from './last-used.ts'

/** What of a token's row changes. */
export interface TokenUpdate {
  readonly plan: Partial<Omit<TokenPlan, 'name'>>
  readonly generation: number
  readonly by: Actor
  readonly at: Date
  /** Puts a password in the place of the one before. */
  readonly secret?: {
    readonly hash: Buffer
    readonly previous: { readonly hash: Buffer; readonly until: Date } | null
  }
}

export interface TokenPage {
  readonly offset: number
  readonly limit: number
  /** Only enabled ones that end in this time, the first to end first. */
  readonly expiring?: { readonly after: Date; readonly until: Date }
}

type Row = Selectable<RegistryTokensTable> &
  Pick<Selectable<AccountsTable>, 'enabled' | 'generation' | 'created_at'>

export type RegistryTokensRepository = ReturnType<typeof createRegistryTokensRepository>

/** Registry tokens in Postgres, a query a method. Names to look for come in lower case. */
export function createRegistryTokensRepository(db: Database) {
  const joined = db
    .selectFrom('registry_tokens')
    .innerJoin('accounts', 'accounts.id', 'registry_tokens.account_id')
  const tokens = joined.selectAll('registry_tokens').select(['enabled', 'generation', 'created_at'])
  const page = ({ expiring }: TokenPage) =>
    expiring === undefined
      ? sql<boolean>`true`
      : sql<boolean>`enabled and expires_at > ${expiring.after} and expires_at <= ${expiring.until}`

  return {
    /** With what its passwords are checked against. */
    async findForSignIn(username: string): Promise<StoredRegistryToken | undefined> {
      const row = await tokens.where('username', '=', username).executeTakeFirst()
      return row && toStored(row)
    },

    async findById(id: string): Promise<ManagedToken | undefined> {
      const row = await tokens.where('account_id', '=', id).executeTakeFirst()
      return row && toManaged(row)
    },

    /** As it is stored, and locked until the transaction ends. */
    async lock(id: string): Promise<StoredRegistryToken | undefined> {
      const row = await tokens.where('account_id', '=', id).forUpdate().executeTakeFirst()
      return row && toStored(row)
    },

    async list(asked: TokenPage): Promise<ManagedToken[]> {
      const rows = await tokens
        .where(page(asked))
        .orderBy(asked.expiring === undefined ? 'username' : 'expires_at')
        .orderBy('username')
        .offset(asked.offset)
        .limit(asked.limit)
        .execute()
      return rows.map(toManaged)
    },

    async count(asked: TokenPage): Promise<number> {
      const counted = joined.select((eb) => eb.fn.countAll().as('count')).where(page(asked))
      return Number((await counted.executeTakeFirstOrThrow()).count)
    },

    /** Throws what `isUniqueViolation` knows when the name is taken. To be called in a transaction. */
    async insert(
      { name, scopes, expiresAt, enabled }: TokenPlan,
      by: Actor,
      secretHash: Buffer,
      given: { readonly id?: string | undefined; readonly generation?: number | undefined } = {},
    ): Promise<string> {
      const account = {
        ...(given.id !== undefined && { id: given.id }),
        ...(given.generation !== undefined && { generation: given.generation }),
        kind: 'token' as const,
        username: name.toLowerCase(),
        directory: false,
        role: 'user' as const,
        namespaces: [],
        enabled,
      }
      const { id } = await db.insertInto('accounts').values(account).returning('id').executeTakeFirstOrThrow()
      await db
        .insertInto('registry_tokens')
        .values({
          account_id: id,
          name,
          scopes: JSON.stringify(scopes),
          expires_at: expiresAt,
          secret_hash: secretHash,
          created_by: by.username,
          created_by_id: by.id,
        })
        .execute()
      return id
    },

    async update(id: string, { plan, generation, by, at, secret }: TokenUpdate): Promise<void> {
      const { enabled, expiresAt, scopes } = plan
      await db
        .updateTable('accounts')
        .set({ generation, updated_at: at, ...(enabled !== undefined && { enabled }) })
        .where('id', '=', id)
        .execute()
      await db
        .updateTable('registry_tokens')
        .set({
          modified_by: by.username,
          modified_by_id: by.id,
          modified_at: at,
          ...(expiresAt !== undefined && { expires_at: expiresAt }),
          ...(scopes !== undefined && { scopes: JSON.stringify(scopes) }),
          ...(secret !== undefined && {
            secret_hash: secret.hash,
            previous_secret_hash: secret.previous?.hash ?? null,
            previous_secret_until: secret.previous?.until ?? null,
          }),
        })
        .where('account_id', '=', id)
        .execute()
    },

    async writeUses(uses: readonly TokenUse[]): Promise<void> {
      await sql`
        update registry_tokens set last_used_at = used.at, last_used_address = used.address
        from jsonb_to_recordset(${JSON.stringify(uses)}::jsonb) as used (id uuid, at timestamptz, address text)
        where account_id = used.id and (last_used_at is null or last_used_at < used.at)`.execute(db)
    },

    /** How many there are in each state, and how many enabled ones end before each of some times. */
    async census(now: Date, ends: readonly Date[]) {
      const { rows } = await sql<{ enabled: string; disabled: string; expired: string; ending: string[] }>`
        select count(*) filter (where enabled and (expires_at is null or expires_at > ${now})) as enabled,
          count(*) filter (where not enabled) as disabled,
          count(*) filter (where enabled and expires_at <= ${now}) as expired,
          array[${sql.join(
            ends.map(
              (end) =>
                sql`(count(*) filter (where enabled and expires_at > ${now} and expires_at <= ${end}))::text`,
            ),
          )}] as ending
        from registry_tokens join accounts on id = account_id`.execute(db)
      const [row] = rows
      const { enabled, disabled, expired } = row ?? {}
      return {
        states: { enabled: Number(enabled), disabled: Number(disabled), expired: Number(expired) },
        ending: row?.ending.map(Number) ?? [],
      }
    },
  }
}

function toToken(row: Row): RegistryToken {
  const { account_id: id, name: username, scopes, enabled, generation, expires_at: expiresAt } = row
  return { id, username, scopes, enabled, generation, expiresAt }
}

function toStored(row: Row): StoredRegistryToken {
  const { secret_hash: hash, previous_secret_hash: previous, previous_secret_until: until } = row
  const secrets = [{ hash, until: null }, ...(previous === null ? [] : [{ hash: previous, until }])]
  return { ...toToken(row), secrets }
}

function toManaged(row: Row): ManagedToken {
  const { modified_at, modified_by, modified_by_id, last_used_at, last_used_address } = row
  const modifier = modified_by_id !== null &&
    modified_by !== null && { id: modified_by_id, username: modified_by }
  return {
    ...toToken(row),
    createdAt: row.created_at,
    createdBy: { id: row.created_by_id, username: row.created_by },
    modified: modified_at && modifier ? { at: modified_at, by: modifier } : undefined,
    lastUsed: last_used_at ? { at: last_used_at, address: last_used_address ?? '' } : undefined,
  }
}
