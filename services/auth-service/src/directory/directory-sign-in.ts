import type { Account, StoredAccount } from '../principals/account.ts'
import { isUsername } from '../accounts/user-input.ts'
import type { CredentialCache } from '../sign-in/credential-cache.ts'
import type { PasswordVerifier, UserCredentials } from '../sign-in/user-sign-in.ts'
import type { Directory, DirectoryLookup } from './directory.ts'
import { groupsOfLookup } from './directory.ts'
import type { DirectoryAccounts } from './directory-accounts.ts'
import { directoryStateOf, isSameDirectoryState } from './directory-state.ts'
import type { GroupMap } from './group-map.ts'

export type DirectorySignInResult = 'cached' | 'verified' | 'refused' | 'unavailable'

export interface DirectorySignInPorts {
  readonly directory: Directory
  readonly groups: GroupMap | undefined
  /** Whether a user without an account gets one as a member of a mapped group. */
  readonly autoCreate: boolean
  readonly accounts: DirectoryAccounts
  /** Verified credentials, with the account's generation. */
  readonly verified: CredentialCache<Pick<Account, 'id' | 'generation'>>
  /** Wrong passwords: retries of clients must not lock the account in the directory. */
  readonly wrong: CredentialCache<true>
  readonly count: (result: DirectorySignInResult) => void
}

/**
 * Verifies passwords of directory users with one search and one bind, or from the cache. Handles usernames without an
 * account if accounts are created at the first sign-in. Never handles local users: they take precedence.
 */
export function createDirectorySignIn(ports: DirectorySignInPorts): PasswordVerifier {
  const { directory, groups, accounts, verified, wrong, count } = ports
  const running = new Map<string, Promise<StoredAccount | undefined>>()

  const save = async (
    account: StoredAccount,
    lookup: DirectoryLookup,
  ): Promise<StoredAccount | undefined> => {
    const directoryState = directoryStateOf(lookup, groups)
    const isSame = isSameDirectoryState(account.directoryState, directoryState)
    const saved = isSame ? account : await accounts.save(account, directoryState)
    if (isSame) await accounts.touch(account)
    return saved && accounts.setGroups(saved, groupsOfLookup(lookup))
  }

  const createFor = async (username: string, lookup: DirectoryLookup): Promise<StoredAccount | undefined> => {
    const directoryState = directoryStateOf(lookup, groups)
    if (groupsOfLookup(lookup).length === 0) return undefined
    const created = await accounts.create(username, directoryState)
    // A concurrent request may have created a local account of that name.
    return created?.directory ? accounts.setGroups(created, groupsOfLookup(lookup)) : undefined
  }

  const verify = async (
    { username, password }: UserCredentials,
    account: StoredAccount | undefined,
  ): Promise<StoredAccount | undefined> => {
    const result = await directory.verify(username, password, account?.directoryState?.dn ?? undefined)
    switch (result.outcome) {
      case 'verified': {
        // The bind succeeded: a lock in the entry has ended.
        const lookup: DirectoryLookup = { outcome: 'found', entry: { ...result.entry, state: 'active' } }
        return account === undefined ? createFor(username, lookup) : save(account, lookup)
      }
      case 'wrong-password':
        if (result.sure) wrong.remember([username, password], true)
        return undefined
      case 'forbidden':
        if (account !== undefined) await save(account, result.lookup)
        return undefined
    }
  }

  const verifyAndCache = async (credentials: UserCredentials, account: StoredAccount | undefined) => {
    try {
      const result = await verify(credentials, account)
      if (result !== undefined) {
        const { id, generation } = result
        verified.remember([credentials.username, credentials.password], { id, generation })
      }
      count(result === undefined ? 'refused' : 'verified')
      return result
    } catch (error) {
      count('unavailable')
      throw error
    }
  }

  return {
    isCached({ username, password }, { id, generation }) {
      const cached = verified.recall([username, password])
      if (cached?.id !== id || cached.generation !== generation) return false
      count('cached')
      return true
    },

    handles: (username, account) =>
      account === undefined ? ports.autoCreate && isUsername(username) : account.directory,

    async verify(credentials, account) {
      const { username, password } = credentials
      const secret = [username, password]
      if (password === '' || password.includes('\0')) return undefined
      const cached = verified.recall(secret)
      if (account !== undefined && cached?.id === account.id && cached.generation === account.generation) {
        count('cached')
        return account
      }
      if (wrong.recall(secret) !== undefined) {
        count('refused')
        return undefined
      }
      // Concurrent sign-ins with the same credentials share one verification.
      const key = verified.keyOf(secret)
      const verifying = running.get(key) ?? verifyAndCache(credentials, account)
      running.set(key, verifying)
      try {
        return await verifying
      } finally {
        running.delete(key)
      }
    },
  }
}
