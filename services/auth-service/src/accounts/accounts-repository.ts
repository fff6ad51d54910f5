import type { AccountsTable, Database } from '@registry-manager/database'
import type { Selectable } from 'kysely'
import { sql } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { EffectiveGrant } from '@registry-manager/principal'
import { effectiveGrants, toEffectiveGrants } from '../access/effective-grants-repository.ts'
import type {
  Account,
  AccountRef,
  AccountUpdate,
  DirectoryState,
  ListedAccount,
  NewAccount,
  StoredAccount,
  UserFilter,
} from '../principals/account.ts'
import { effectiveRights } from '../principals/account.ts'

/** About 10 MiB. */
const MAX_KNOWN_GRANTS = 20_000

/** The grants of recently read accounts. Bounded by the number of grants. */
export type KnownGrants = LRUCache<
  string,
  { readonly generation: number; readonly grants: readonly EffectiveGrant[] }
>

export function createKnownGrants(): KnownGrants {
  return new LRUCache({ maxSize: MAX_KNOWN_GRANTS, sizeCalculation: ({ grants }) => grants.length + 1 })
}

/**
 * Queries of users' accounts. Usernames must be in lower case. Every change of an account's grants raises its
 * generation in the same transaction: grants in `known` of the same generation are not read again.
 */
export function createAccountsRepository(db: Database, known?: KnownGrants) {
  const users = () => db.selectFrom('accounts').selectAll().where('kind', '=', 'user')
  const accounts = () => users().select(effectiveGrants)

  return {
    async find(ref: AccountRef): Promise<StoredAccount | undefined> {
      const [column, value] =
        typeof ref === 'string' ? (['username', ref] as const) : (['id', ref.id] as const)
      if (known !== undefined) {
        const row = await users().where(column, '=', value).executeTakeFirst()
        if (row === undefined) return undefined
        const found = known.get(row.id)
        if (found?.generation === row.generation) return toAccount({ ...row, grants: found.grants })
      }
      const row = await accounts().where(column, '=', value).executeTakeFirst()
      if (row === undefined) return undefined
      const { id, generation, grants } = row
      known?.set(id, { generation, grants })
      return toAccount(row)
    },

    async list(offset: number, limit: number, filter: UserFilter = {}): Promise<ListedAccount[]> {
      const rows = await users()
        .where(matches(filter))
        .orderBy('username')
        .offset(offset)
        .limit(limit)
        .execute()
      return rows.map(toListedAccount)
    },

    async count(filter: UserFilter = {}): Promise<number> {
      const row = await db
        .selectFrom('accounts')
        .select((eb) => eb.fn.countAll().as('count'))
        .where('kind', '=', 'user')
        .where(matches(filter))
        .executeTakeFirstOrThrow()
      return Number(row.count)
    },

    /** Usernames of enabled cluster administrators. */
    async listAdministrators(limit: number): Promise<string[]> {
      const rows = await administrators(db).select('username').orderBy('username').limit(limit).execute()
      return rows.map(({ username }) => username)
    },

    /** Ids of enabled cluster administrators, locked until the transaction ends. */
    async lockAdministrators(): Promise<string[]> {
      const rows = await administrators(db).select('id').orderBy('id').forUpdate().execute()
      return rows.map(({ id }) => id)
    },

    /** Undefined when the username is taken, also by a registry token. */
    async insert(account: NewAccount): Promise<StoredAccount | undefined> {
      const row = await db
        .insertInto('accounts')
        .values({
          username: account.username,
          directory: account.directory,
          provider: account.provider ?? null,
          role: account.role,
          enabled: account.enabled,
          namespaces: [...account.namespaces],
          password_hash: account.passwordHash,
          ...directoryStateColumns(account.directoryState),
        })
        .onConflict((conflict) => conflict.column('username').doNothing())
        .returningAll()
        .returning(effectiveGrants)
        .executeTakeFirst()
      return row && toAccount(row)
    },

    async update(id: string, update: AccountUpdate): Promise<StoredAccount> {
      const row = await db
        .updateTable('accounts')
        .set({ ...toColumns(update, 'directoryState' in update), updated_at: new Date() })
        .where('id', '=', id)
        .returningAll()
        .returning(effectiveGrants)
        .executeTakeFirstOrThrow()
      return toAccount(row)
    },

    /** Replaces the hash `from` of a password by another hash of it. Does nothing if `from` is not stored any more. */
    async replacePasswordHash(id: string, from: string, to: string): Promise<void> {
      await db
        .updateTable('accounts')
        .set({ password_hash: to })
        .where('id', '=', id)
        .where('password_hash', '=', from)
        .execute()
    },

    async delete(id: string): Promise<void> {
      await db.deleteFrom('accounts').where('id', '=', id).execute()
    },
  }
}

/** A row of `accounts`, selected together with `effectiveGrants`. */
export type AccountRow = Selectable<AccountsTable> & { readonly grants: readonly EffectiveGrant[] }

export function toAccount(row: AccountRow): StoredAccount {
  const grants = toEffectiveGrants(row.grants)
  return { ...toListedAccount(row), grants, passwordHash: row.password_hash }
}

function toListedAccount(row: Selectable<AccountsTable>): ListedAccount {
  const { id, username, directory, generation, created_at: createdAt } = row
  const provider = row.provider !== null && { provider: row.provider }
  return { id, username, directory, ...provider, ...rightsOf(row), generation, createdAt }
}

function administrators(db: Database) {
  return db
    .selectFrom('accounts')
    .where('kind', '=', 'user')
    .where('role', '=', 'cluster-administrator')
    .where('enabled', '=', true)
}

function matches({ search, namespace }: UserFilter) {
  const text = search && `%${search.toLowerCase().replaceAll(/[\\%_]/g, String.raw`\$&`)}%`
  return sql<boolean>`
    ${text ? sql`username like ${text}` : sql`true`} and ${
      namespace === undefined
        ? sql`true`
        : sql`(${namespace} = any(namespaces) or ${namespace} = any(directory_namespaces))`
    }`
}

/** The effective rights of a row, without grants. */
export function rightsOf(
  row: Selectable<AccountsTable>,
): Pick<Account, 'role' | 'enabled' | 'namespaces' | 'own' | 'directoryState'> {
  const { role, enabled, namespaces, directory_dn: dn, directory_state: state } = row
  const own = { role, enabled, namespaces }
  if (state === null) return own
  const directoryState = { dn, state, role: row.directory_role, namespaces: row.directory_namespaces }
  return { ...effectiveRights(own, directoryState), own, directoryState }
}

function toColumns(
  { namespaces, passwordHash, directoryState, ...same }: AccountUpdate,
  hasDirectoryState: boolean,
) {
  return {
    ...same,
    ...(namespaces !== undefined && { namespaces: [...namespaces] }),
    ...(passwordHash !== undefined && { password_hash: passwordHash }),
    ...(hasDirectoryState && directoryStateColumns(directoryState)),
  }
}

/** All empty for a local user. */
function directoryStateColumns(directoryState: DirectoryState | undefined) {
  return {
    directory_dn: directoryState?.dn ?? null,
    directory_state: directoryState?.state ?? null,
    directory_role: directoryState?.role ?? null,
    directory_namespaces: [...(directoryState?.namespaces ?? [])],
    directory_checked_at: directoryState === undefined ? null : new Date(),
  }
}
