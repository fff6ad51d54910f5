import type { FieldFault } from '@registry-manager/http'
import type { Account, AccountRef, DirectoryState, ListedAccount, UserFilter } from '../principals/account.ts'
import type { ChangeAccount, ChangeResult } from './change-account.ts'
import type { UserChange, UserChangeInput } from './plan-user.ts'
import { planNewUser, planUserChange, normaliseNamespaces } from './plan-user.ts'
import type { NewUserInput, UsersQuery } from './user-input.ts'

/**
 * Finds the directory state of a user who becomes a directory user. Throws an error for which `unavailableDependency`
 * names the directory.
 */
export type LookUpUser = (
  username: string,
) => Promise<{ readonly directoryState: DirectoryState } | { readonly fault: FieldFault }>

export interface ManageUsersPorts {
  find(ref: AccountRef): Promise<Account | undefined>
  list(offset: number, limit: number, filter: UserFilter): Promise<readonly ListedAccount[]>
  count(filter: UserFilter): Promise<number>
  readonly changeAccount: ChangeAccount
  readonly lookUpUser: LookUpUser
  /** The ids of the OpenID Connect providers. */
  readonly providers: readonly string[]
  /**
   * Whether the password is that of the account. Counts as a sign-in from the address: throws a problem if sign-ins are
   * limited (429) or a dependency is unavailable (503).
   */
  verifyPassword(account: Account, password: string, address: string): Promise<boolean>
}

export type UserResult = ChangeResult | { readonly fault: FieldFault }

export interface UsersPage {
  readonly users: readonly ListedAccount[]
  readonly total: number
  /** Where the next page begins; undefined on the last page. */
  readonly next: { readonly offset: number; readonly limit: number } | undefined
}

export interface PasswordChange {
  readonly password: string
  /** Set when users change their own password by Bearer: such a request does not prove the current password. */
  readonly confirmation?: { readonly password: string | undefined; readonly address: string }
}

export type PasswordResult =
  | UserResult
  | { readonly refused: 'directory-password' | 'provider-password' | 'wrong-password' }

export interface ManageUsers {
  find(ref: AccountRef): Promise<Account | undefined>
  list(query: UsersQuery): Promise<UsersPage>
  create(input: NewUserInput): Promise<UserResult>
  change(username: string, input: UserChangeInput): Promise<UserResult>
  changePassword(ref: AccountRef, change: PasswordChange): Promise<PasswordResult>
  changeNamespaces(username: string, namespaces: readonly string[]): Promise<ChangeResult>
  delete(username: string): Promise<ChangeResult>
  endSessions(ref: AccountRef): Promise<ChangeResult>
}

const MAX_PAGE = 50

/** The use cases of the users API. */
export function createManageUsers(ports: ManageUsersPorts): ManageUsers {
  const { find, changeAccount, lookUpUser } = ports

  /** The directory state of a user whom a change makes a directory user. */
  const directoryStateFor = async (
    username: string,
    { directory }: UserChange,
  ): Promise<{ directoryState?: DirectoryState } | { fault: FieldFault }> =>
    directory ? lookUpUser(username) : {}

  const providerFault = ({ provider }: UserChangeInput): FieldFault | undefined => {
    if (!provider || ports.providers.includes(provider)) return undefined
    const known = ports.providers.join(', ')
    const configured = known ? `configured are ${known}` : 'none is configured (set OIDC_PROVIDERS_FILE)'
    return { field: 'provider', detail: `must be the id of a provider; ${configured}` }
  }

  return {
    find,

    async list({ offset = 0, limit: given = MAX_PAGE, search, namespace }) {
      const limit = Math.min(given, MAX_PAGE)
      const users = await ports.list(offset, limit, { search, namespace })
      const isLastPage = users.length < limit && (users.length > 0 || offset === 0)
      const total = isLastPage ? offset + users.length : await ports.count({ search, namespace })
      return { users, total, next: offset + limit < total ? { offset: offset + limit, limit } : undefined }
    },

    async create(input) {
      const fault = providerFault(input)
      if (fault !== undefined) return { fault }
      const planned = planNewUser(input)
      if ('fault' in planned) return planned
      const found = await directoryStateFor(planned.plan.username, planned.plan)
      return 'fault' in found ? found : changeAccount.create({ ...planned.plan, ...found })
    },

    async change(username, input) {
      const current = await find(username)
      if (current === undefined) return { refused: 'absent' }
      const fault = providerFault(input)
      if (fault !== undefined) return { fault }
      const planned = planUserChange(current, input)
      if ('fault' in planned) return planned
      const found = await directoryStateFor(current.username, planned.change)
      return 'fault' in found ? found : changeAccount.change(current, { ...planned.change, ...found })
    },

    async changePassword(ref, { password, confirmation }) {
      const current = await find(ref)
      if (current === undefined) return { refused: 'absent' }
      if (current.directory) return { refused: 'directory-password' }
      if (current.provider !== undefined) return { refused: 'provider-password' }
      const planned = planUserChange(current, { password })
      if ('fault' in planned) return planned
      // An identity token that was stolen must not be enough to take the account over.
      // Source: OWASP ASVS 5.0, 6.2.3.
      if (confirmation !== undefined) {
        if (confirmation.password === undefined) {
          return { fault: { field: 'current_password', detail: 'is required' } }
        }
        const isRight = await ports.verifyPassword(current, confirmation.password, confirmation.address)
        if (!isRight) return { refused: 'wrong-password' }
      }
      return changeAccount.change(current, planned.change)
    },

    changeNamespaces: (username, namespaces) =>
      changeAccount.change(username, { namespaces: normaliseNamespaces(namespaces) }),
    delete: changeAccount.delete,
    endSessions: changeAccount.endSessions,
  }
}
