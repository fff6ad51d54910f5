import type { Database } from '@registry-manager/database'
import { createRecordEvents } from '@registry-manager/events'
import type { RequestPrincipal } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import { accountOrProblem } from '../sign-in/sign-in-problem.ts'
import type { AccountRef, ListedAccount, StoredAccount, UserFilter } from '../principals/account.ts'
import { createAccountsRepository, createKnownGrants } from './accounts-repository.ts'
import type { ChangeAccount } from './change-account.ts'
import { createChangeAccount } from './change-account.ts'
import type { FirstAdministrator } from './first-administrator.ts'
import { ensureFirstAdministrator } from './first-administrator.ts'
import type { LookUpUser } from './manage-users.ts'
import { createManageUsers } from './manage-users.ts'
import type { PasswordHasher } from './password-hasher.ts'
import { createPasswordHasher } from './password-hasher.ts'
import type { ReplaceImportedHash } from './replace-imported-hash.ts'
import { createReplaceImportedHash } from './replace-imported-hash.ts'
import type { PasswordReset, ResetPasswordOptions } from './reset-password.ts'
import { resetPassword } from './reset-password.ts'
import type { OnRevoked, RevocationsRead } from './revocations-repository.ts'
import { createRevocationsRepository, inRevokingTransaction } from './revocations-repository.ts'
import { AUTH_SERVICE } from '../principals/principal.ts'
import type { UsersRoutesOptions } from './users-routes.ts'
import { usersRoutes } from './users-routes.ts'

/** Users' accounts, for the other features. */
export interface Accounts extends ChangeAccount {
  find(ref: AccountRef): Promise<StoredAccount | undefined>
  list(offset: number, limit: number, filter?: UserFilter): Promise<ListedAccount[]>
  count(filter?: UserFilter): Promise<number>
  readonly verifyPassword: PasswordHasher['verify']
  replaceImportedHash: ReplaceImportedHash
  /** The revocations since a time, or since an earlier read; those of registry tokens are included. */
  revocationsSince(since: Date, cursor?: string): Promise<RevocationsRead>
  /** Calls the listener after each revocation of a user in this process. */
  watchRevocations(listener: OnRevoked): void
  ensureFirstAdministrator(username: string, password: () => string | undefined): Promise<FirstAdministrator>
  resetPassword(options: ResetPasswordOptions): Promise<PasswordReset>
}

/** `background` is the principal of changes outside of requests. */
export function createAccounts(
  db: Database,
  hasher: PasswordHasher = createPasswordHasher(),
  background: RequestPrincipal = AUTH_SERVICE,
): Accounts {
  const accounts = createAccountsRepository(db, createKnownGrants())
  const listeners: OnRevoked[] = []
  const onRevoked: OnRevoked = (...revocation) => listeners.forEach((listener) => listener(...revocation))
  const changeAccount = createChangeAccount({
    hashPassword: hasher.hash,
    inTransaction: (work) =>
      inRevokingTransaction(db, onRevoked, (tx, revocations) =>
        work({
          ...createAccountsRepository(tx),
          ...revocations,
          recordEvents: createRecordEvents(tx, { principal: background }),
        }),
      ),
  })
  return {
    ...changeAccount,
    find: accounts.find,
    list: accounts.list,
    count: accounts.count,
    verifyPassword: hasher.verify,
    replaceImportedHash: createReplaceImportedHash({ ...accounts, hashPassword: hasher.hash }),
    revocationsSince: createRevocationsRepository(db).revocationsSince,
    watchRevocations: (listener) => void listeners.push(listener),
    ensureFirstAdministrator: (username, password) =>
      ensureFirstAdministrator(
        {
          hasAdministrator: async () => (await accounts.listAdministrators(1)).length > 0,
          find: accounts.find,
          create: (plan) => changeAccount.create(plan, { cause: 'first-administrator' }),
        },
        username,
        password,
      ),
    resetPassword: (options) =>
      resetPassword(
        {
          find: accounts.find,
          listAdministrators: accounts.listAdministrators,
          change: changeAccount.change,
        },
        options,
      ),
  }
}

export interface UsersApiOptions extends Omit<UsersRoutesOptions, 'users'> {
  readonly accounts: Accounts
  /** Undefined without a directory. */
  readonly lookUpUser: LookUpUser | undefined
  /** The ids of the OpenID Connect providers. */
  readonly providers: readonly string[]
}

const NO_DIRECTORY: LookUpUser = async () => ({
  fault: { field: 'ad', detail: 'cannot be true: no directory is configured (set DIRECTORY_URL)' },
})

/** The users API of seed 002. */
export async function usersApi(app: FastifyInstance, options: UsersApiOptions): Promise<void> {
  const { accounts, lookUpUser = NO_DIRECTORY, providers, ...routesOptions } = options
  const { signIn, realm } = routesOptions
  const users = createManageUsers({
    find: accounts.find,
    list: accounts.list,
    count: accounts.count,
    changeAccount: accounts,
    lookUpUser,
    providers,
    async verifyPassword({ username }, password, address) {
      const result = await signIn.withPassword(username, password, address)
      return result.outcome !== 'refused' && accountOrProblem(result, realm) !== undefined
    },
  })
  await app.register(usersRoutes, { ...routesOptions, users })
}
