import type { AccountsTable, Database } from '@registry-manager/database'
import type { Selectable } from 'kysely'
import { sql } from 'kysely'
import type { Account, Role, StoredAccount } from './account.ts'
import type { DirectoryStanding } from '../directory/directory-state.ts'
import { standingColumns, standingFields } from '../directory/state-columns.ts'

export interface NewAccount {
  readonly username: string
  readonly directory: boolean
  readonly role: Role
  readonly enabled: boolean
  readonly namespaces: readonly string[]
  readonly passwordHash: string | null
  readonly standing?: DirectoryStanding
}

export type AccountChange = Partial<Omit<NewAccount, 'username'>> & { readonly generation?: number }

/** Which users a list holds. */
export interface UserFilter {
  /** Only usernames that hold this text, in any case. */
  readonly search?: string | undefined
  /** Only users who have exactly this namespace, given or by their groups. */
  readonly namespace?: string | undefined
}

export type AccountsRepository = ReturnType<typeof createAccountsRepository>

/** People's accounts, and everybody's revocations, in Postgres, a query a method. Usernames come in lower case. */
export function createAccountsRepository(db: Database) {
  const accounts = () => db.selectFrom('accounts').selectAll().where('kind', '=', 'user')
  return {
    async findByUsername(username: string): Promise<StoredAccount | undefined> {
      const row = await accounts().where('username', '=', username).executeTakeFirst()
      return row && toAccount(row)
    },

    async findById(id: string): Promise<StoredAccount | undefined> {
      const row = await accounts().where('id', '=', id).executeTakeFirst()
      return row && toAccount(row)
    },

    async list(offset: number, limit: number, filter: UserFilter = {}): Promise<Account[]> {
      const rows = await accounts()
        .where(matching(filter))
        .orderBy('username')
        .offset(offset)
        .limit(limit)
        .execute()
      return rows.map(toAccount)
    },

    async count(filter: UserFilter = {}): Promise<number> {
      const row = await db
        .selectFrom('accounts')
        .select((eb) => eb.fn.countAll().as('count'))
        .where('kind', '=', 'user')
        .where(matching(filter))
        .executeTakeFirstOrThrow()
      return Number(row.count)
    },

    /** Enabled cluster administrators, locked so that two changes cannot both leave "the other one". */
    async lockAdministrators(): Promise<string[]> {
      const rows = await db
        .selectFrom('accounts')
        .select('id')
        .where('role', '=', 'cluster-administrator')
        .where('enabled', '=', true)
        .orderBy('id')
        .forUpdate()
        .execute()
      return rows.map(({ id }) => id)
    },

    /** Throws what `isUniqueViolation` knows when the name is taken. */
    async insert(account: NewAccount): Promise<Account> {
      const row = await db
        .insertInto('accounts')
        .values({
          username: account.username,
          directory: account.directory,
          role: account.role,
          enabled: account.enabled,
          namespaces: [...account.namespaces],
          password_hash: account.passwordHash,
          ...standingColumns(account.standing),
        })
        .returningAll()
        .executeTakeFirstOrThrow()
      return toAccount(row)
    },

    async update(id: string, change: AccountChange): Promise<Account> {
      const row = await db
        .updateTable('accounts')
        .set({ ...toColumns(change, 'standing' in change), updated_at: new Date() })
        .where('id', '=', id)
        .returningAll()
        .executeTakeFirstOrThrow()
      return toAccount(row)
    },

    async remove(id: string): Promise<void> {
      await db.deleteFrom('accounts').where('id', '=', id).execute()
    },

    /** Ends everything that was issued to an account in generations below this one. */
    async revoke(id: string, leastGeneration: number): Promise<void> {
      const revocation = { least_generation: leastGeneration, revoked_at: new Date() }
      await db
        .insertInto('revocations')
        .values({ account_id: id, ...revocation })
        .onConflict((conflict) => conflict.column('account_id').doUpdateSet(revocation))
        .execute()
    },

    /** The least generation of an id that is not revoked; undefined where nothing of it is. */
    async leastGeneration(id: string): Promise<number | undefined> {
      const row = await db
        .selectFrom('revocations')
        .select('least_generation')
        .where('account_id', '=', id)
        .executeTakeFirst()
      return row?.least_generation
    },

    /** Least generations by account id, of the revocations since a time. */
    async revocationsSince(since: Date): Promise<Map<string, number>> {
      const rows = await db
        .selectFrom('revocations')
        .select(['account_id', 'least_generation'])
        .where('revoked_at', '>=', since)
        .execute()
      return new Map(rows.map((row) => [row.account_id, row.least_generation]))
    },
  }
}

function matching({ search, namespace }: UserFilter) {
  const text = search && `%${search.toLowerCase().replaceAll(/[\\%_]/g, String.raw`\$&`)}%`
  return sql<boolean>`
    ${text ? sql`username like ${text}` : sql`true`} and ${
      namespace === undefined
        ? sql`true`
        : sql`(${namespace} = any(namespaces) or ${namespace} = any(directory_namespaces))`
    }`
}

export function toAccount(row: Selectable<AccountsTable>): StoredAccount {
  const { id, username, directory, generation } = row
  const { password_hash: passwordHash, created_at: createdAt } = row
  return { id, username, directory, ...standingFields(row), generation, passwordHash, createdAt }
}

function toColumns({ namespaces, passwordHash, standing, ...same }: AccountChange, hasStanding: boolean) {
  return {
    ...same,
    ...(namespaces !== undefined && { namespaces: [...namespaces] }),
    ...(passwordHash !== undefined && { password_hash: passwordHash }),
    ...(hasStanding && standingColumns(standing)),
  }
}
