import type { Account, AccountRef, DirectoryState, StoredAccount } from '../principals/account.ts'
import { directoryGroupNames } from '../access/group.ts'
import type { ChangeAccount } from '../accounts/change-account.ts'

export interface DirectoryAccountsPorts extends Pick<ChangeAccount, 'create' | 'change'> {
  find(ref: AccountRef): Promise<StoredAccount | undefined>
  setReadAt(ids: readonly string[], readAt: Date | null): Promise<void>
  /** Makes an account a member of our groups that are mapped to these groups. Returns whether a membership changed. */
  setMemberships(account: Account, names: readonly string[]): Promise<boolean>
  /** Milliseconds since the epoch. */
  now(): number
}

const BY_DIRECTORY = { cause: 'directory' } as const

/** Stores the directory states and the memberships of directory users. */
export interface DirectoryAccounts {
  /** Creates a directory user. Returns the account that has the username, which may be a different one by now. */
  create(username: string, directoryState: DirectoryState): Promise<StoredAccount | undefined>
  /** Saves a changed state. If the effective rights change, the sessions end. Undefined when the user is gone. */
  save(account: Account, directoryState: DirectoryState): Promise<StoredAccount | undefined>
  /** Records that the state was read and has not changed. */
  touch(account: Account): Promise<void>
  /** Saves the groups of the directory that a user is a member of, by normalised names. Returns the present account. */
  setGroups(account: StoredAccount, groups: readonly string[]): Promise<StoredAccount | undefined>
}

export function createDirectoryAccounts(ports: DirectoryAccountsPorts): DirectoryAccounts {
  const { find, setReadAt, now } = ports
  return {
    async create(username, directoryState) {
      const given = { directory: true, role: 'user', enabled: true, namespaces: [], password: null } as const
      await ports.create({ username, ...given, directoryState }, BY_DIRECTORY)
      return find(username)
    },

    // By id: another account may have taken the username. The account may also have become a local one.
    async save({ id }, directoryState) {
      const current = await find({ id })
      if (current?.directory !== true) return undefined
      await ports.change({ id }, { directoryState }, BY_DIRECTORY)
      return find({ id })
    },

    touch: ({ id }) => setReadAt([id], new Date(now())),

    async setGroups(account, groups) {
      const isChanged = await ports.setMemberships(account, directoryGroupNames(groups))
      return isChanged ? find({ id: account.id }) : account
    },
  }
}
