import type { AccountsTable, Database, RegistryTokensTable } from '@registry-manager/database'
import type { Selectable } from 'kysely'
import { sql } from 'kysely'
import type { Conditions, EffectiveGrant } from '@registry-manager/principal'
import { effectiveGrants, toEffectiveGrants } from '../access/effective-grants-repository.ts'
import type { TokenUse } from '../sign-in/last-used.ts'
import type { RegistryTokenList } from './manage-registry-tokens.ts'
import type { RegistryTokenCounts } from './metrics.ts'
import type { NewRegistryTokenRow, RegistryTokenUpdate } from './registry-token-transaction.ts'
import type {
  ManagedRegistryToken,
  RegistryToken,
  StoredRegistryToken,
} from '../principals/registry-token.ts'

type Row = Selectable<RegistryTokensTable> &
  Pick<Selectable<AccountsTable>, 'enabled' | 'generation' | 'created_at'> & {
    readonly grants: readonly EffectiveGrant[]
  }

/** Registry tokens in Postgres. Names to search for are in lower case. */
export function createRegistryTokensRepository(db: Database) {
  const joined = db
    .selectFrom('registry_tokens')
    .innerJoin('accounts', 'accounts.id', 'registry_tokens.account_id')
  const registryTokens = joined
    .selectAll('registry_tokens')
    .select(['enabled', 'generation', 'created_at', effectiveGrants])
  const listed = ({ expiring }: RegistryTokenList) =>
    expiring === undefined
      ? sql<boolean>`true`
      : sql<boolean>`enabled and expires_at > ${expiring.after} and expires_at <= ${expiring.until}`

  return {
    /** Returns the registry token with its stored passwords. */
    async findForSignIn(username: string): Promise<StoredRegistryToken | undefined> {
      const row = await registryTokens.where('username', '=', username).executeTakeFirst()
      return row && toStored(row)
    },

    async findById(id: string): Promise<ManagedRegistryToken | undefined> {
      const row = await registryTokens.where('account_id', '=', id).executeTakeFirst()
      return row && toManaged(row)
    },

    /** Locks the row until the transaction ends. */
    async lock(id: string): Promise<StoredRegistryToken | undefined> {
      const row = await registryTokens.where('account_id', '=', id).forUpdate().executeTakeFirst()
      return row && toStored(row)
    },

    async list(list: RegistryTokenList): Promise<ManagedRegistryToken[]> {
      const rows = await registryTokens
        .where(listed(list))
        .orderBy(list.expiring === undefined ? 'username' : 'expires_at')
        .orderBy('username')
        .offset(list.offset)
        .limit(list.limit)
        .execute()
      return rows.map(toManaged)
    },

    async count(list: RegistryTokenList): Promise<number> {
      const counted = joined.select((eb) => eb.fn.countAll().as('count')).where(listed(list))
      return Number((await counted.executeTakeFirstOrThrow()).count)
    },

    /** Throws a unique violation when the name or the id is taken. Writes two rows: call it in a transaction. */
    async insert(row: NewRegistryTokenRow): Promise<string> {
      const { name, scopes, expiresAt, enabled, conditions, secretHash, createdBy } = row
      const account = {
        ...(row.id !== undefined && { id: row.id }),
        ...(row.generation !== undefined && { generation: row.generation }),
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
          conditions: conditions && JSON.stringify(conditions),
          secret_hash: secretHash,
          created_by: createdBy.username,
          created_by_id: createdBy.id,
        })
        .execute()
      return id
    },

    async update(id: string, { change, generation, by, at, secret }: RegistryTokenUpdate): Promise<void> {
      const { enabled, expiresAt, scopes, conditions } = change
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
          ...(conditions !== undefined && { conditions: conditions && JSON.stringify(conditions) }),
          ...(secret !== undefined && {
            secret_hash: secret.hash,
            previous_secret_hash: secret.previous?.hash ?? null,
            previous_secret_until: secret.previous?.until ?? null,
          }),
        })
        .where('account_id', '=', id)
        .execute()
    },

    /** Saves last uses in one statement. An older use never replaces a newer one. */
    async saveUses(uses: readonly TokenUse[]): Promise<void> {
      await sql`
        update registry_tokens set last_used_at = used.at, last_used_address = used.address
        from jsonb_to_recordset(${JSON.stringify(uses)}::jsonb) as used (id uuid, at timestamptz, address text)
        where account_id = used.id and (last_used_at is null or last_used_at < used.at)`.execute(db)
    },

    /** Counts registry tokens by state, and the enabled ones that expire before each of some times. */
    async countByState(now: Date, ends: readonly Date[]): Promise<RegistryTokenCounts> {
      const { rows } = await sql<{ enabled: string; disabled: string; expired: string; expiring: string[] }>`
        select count(*) filter (where enabled and (expires_at is null or expires_at > ${now})) as enabled,
          count(*) filter (where not enabled) as disabled,
          count(*) filter (where enabled and expires_at <= ${now}) as expired,
          array[${sql.join(
            ends.map(
              (end) =>
                sql`(count(*) filter (where enabled and expires_at > ${now} and expires_at <= ${end}))::text`,
            ),
          )}] as expiring
        from registry_tokens join accounts on id = account_id`.execute(db)
      const [row] = rows
      const { enabled, disabled, expired } = row ?? {}
      return {
        states: { enabled: Number(enabled), disabled: Number(disabled), expired: Number(expired) },
        expiring: row?.expiring.map(Number) ?? [],
      }
    },
  }
}

function toRegistryToken(row: Row): RegistryToken {
  const { account_id: id, name: username, scopes, enabled, generation, expires_at: expiresAt } = row
  const grants = toEffectiveGrants(row.grants)
  const conditions = row.conditions as Conditions | null
  const token = { id, username, scopes, grants, enabled, generation, expiresAt }
  return conditions === null ? token : { ...token, conditions }
}

function toStored(row: Row): StoredRegistryToken {
  const { secret_hash: hash, previous_secret_hash: previous, previous_secret_until: until } = row
  const secrets = [{ hash, until: null }, ...(previous === null ? [] : [{ hash: previous, until }])]
  return { ...toRegistryToken(row), secrets }
}

function toManaged(row: Row): ManagedRegistryToken {
  const { modified_at, modified_by, modified_by_id, last_used_at, last_used_address } = row
  const modifier = modified_by_id !== null &&
    modified_by !== null && { id: modified_by_id, username: modified_by }
  return {
    ...toRegistryToken(row),
    createdAt: row.created_at,
    createdBy: { id: row.created_by_id, username: row.created_by },
    modified: modified_at && modifier ? { at: modified_at, by: modifier } : undefined,
    lastUsed: last_used_at ? { at: last_used_at, address: last_used_address ?? '' } : undefined,
  }
}
