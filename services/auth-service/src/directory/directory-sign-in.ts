import type { Account, StoredAccount } from '../accounts/account.ts'
import type { Directory, Looked } from './directory.ts'
import type { DirectoryStanding } from './directory-state.ts'
import { isSameStanding, standingOf } from './directory-state.ts'
import type { GroupMap } from './group-map.ts'
import { isUsername } from '../accounts/user-input.ts'
import type { CredentialCache } from '../sign-in/credential-cache.ts'

export interface DirectoryAccounts {
  /** Makes an account for somebody who has none; answers who has the name by now. */
  create(username: string, standing: DirectoryStanding): Promise<StoredAccount | undefined>
  /** Writes down what was found, ending what was issued where it changes what the account may do. */
  settle(account: Account, standing: DirectoryStanding): Promise<StoredAccount | undefined>
  /** Notes that the directory was asked and that nothing has changed. */
  touch(account: Account): Promise<void>
}

export type DirectorySignInResult = 'cached' | 'verified' | 'refused' | 'away'

export interface DirectorySignInPorts {
  readonly directory: Directory
  readonly groups: GroupMap | undefined
  /** Whether somebody without an account gets one when a group of theirs gives them something. */
  readonly autoCreate: boolean
  readonly accounts: DirectoryAccounts
  /** Credentials that were good, and for which generation of which account. */
  readonly verified: CredentialCache<Pick<Account, 'id' | 'generation'>>
  /** Passwords that were wrong: asked again and again, the directory would lock the account. */
  readonly wrong: CredentialCache<true>
  readonly count: (result: DirectorySignInResult) => void
}

export interface DirectorySignIn {
  /** Whether a name is the directory's to judge: a directory account, or nobody's where accounts are made. */
  takes(username: string, account: StoredAccount | undefined): boolean
  /**
   * The account that these credentials are good for; undefined where they are not. Throws DirectoryUnavailable. Local
   * accounts must not be shown here: they win over the directory's, whoever these are.
   */
  prove(
    username: string,
    password: string,
    account: StoredAccount | undefined,
  ): Promise<StoredAccount | undefined>
}

/** Signs in by the directory: one search and one bind, and none for credentials that it verified a moment ago. */
export function createDirectorySignIn(ports: DirectorySignInPorts): DirectorySignIn {
  const { directory, groups, accounts, verified, wrong, count } = ports
  const running = new Map<string, Promise<StoredAccount | undefined>>()

  const settle = async (account: StoredAccount, looked: Looked): Promise<StoredAccount | undefined> => {
    const standing = standingOf(looked, groups)
    if (!isSameStanding(account.standing, standing)) return accounts.settle(account, standing)
    await accounts.touch(account)
    return account
  }

  const createFor = async (username: string, looked: Looked): Promise<StoredAccount | undefined> => {
    const standing = standingOf(looked, groups)
    if (standing.role === null && standing.namespaces.length === 0) return undefined
    const made = await accounts.create(username, standing)
    // Somebody else may have been given the name meanwhile. A local account is not the directory's.
    return made?.directory ? made : undefined
  }

  const ask = async (username: string, password: string, account: StoredAccount | undefined) => {
    const answer = await directory.verify(username, password, account?.standing?.dn ?? undefined)
    switch (answer.outcome) {
      case 'verified': {
        const looked: Looked = { outcome: 'found', person: { ...answer.person, state: 'active' } }
        return account === undefined ? createFor(username, looked) : settle(account, looked)
      }
      case 'wrong-password':
        if (answer.sure) wrong.remember([username, password], true)
        return undefined
      case 'barred':
        if (account !== undefined) await settle(account, answer.looked)
        return undefined
    }
  }

  const counted = async (...[username, password, account]: Parameters<DirectorySignIn['prove']>) => {
    try {
      const proven = await ask(username, password, account)
      if (proven !== undefined) {
        const { id, generation } = proven
        verified.remember([username, password], { id, generation })
      }
      count(proven === undefined ? 'refused' : 'verified')
      return proven
    } catch (error) {
      count('away')
      throw error
    }
  }

  return {
    takes: (username, account) =>
      account === undefined ? ports.autoCreate && isUsername(username) : account.directory,

    async prove(username, password, account) {
      const secret = [username, password]
      if (password === '' || password.includes('\0')) return undefined
      const known = verified.recall(secret)
      if (account !== undefined && known?.id === account.id && known.generation === account.generation) {
        count('cached')
        return account
      }
      if (wrong.recall(secret) !== undefined) {
        count('refused')
        return undefined
      }
      // A client that comes with the same credentials several times at once is one question.
      const key = verified.keyOf(secret)
      const asking = running.get(key) ?? counted(username, password, account)
      running.set(key, asking)
      try {
        return await asking
      } finally {
        running.delete(key)
      }
    },
  }
}
