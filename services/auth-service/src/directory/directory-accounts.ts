import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { Account, StoredAccount } from '../accounts/account.ts'
import type { DirectoryAccounts } from './directory-sign-in.ts'
import { toAccount } from '../accounts/accounts-repository.ts'
import type { UsersStore } from '../accounts/manage-users.ts'

/** Accounts of the directory: how sign-in keeps them, and which are to be asked about again. */
export interface DirectoryAccountsStore extends DirectoryAccounts {
  /**
   * Takes some accounts that the directory was last asked about before a time, the longest ago first. Nobody else
   * gets them until the lease ends, unless they are released by then as asked about.
   */
  claim(before: Date, lease: Date, limit: number): Promise<StoredAccount[]>
  /** Notes when the directory was asked about accounts; null where there is nothing more to ask about. */
  release(accounts: readonly Account[], askedAt: Date | null): Promise<void>
}

export function createDirectoryAccounts(
  db: Database,
  store: UsersStore,
  now: () => number,
): DirectoryAccountsStore {
  const release: DirectoryAccountsStore['release'] = async (accounts, askedAt) => {
    if (accounts.length === 0) return
    const ids = accounts.map(({ id }) => id)
    await db
      .updateTable('accounts')
      .set({ directory_checked_at: askedAt })
      .where(sql<boolean>`id = any(${sql.val(ids)}::uuid[])`)
      .execute()
  }
  return {
    async create(username, standing) {
      await store.create({
        username,
        directory: true,
        role: 'user',
        enabled: true,
        namespaces: [],
        password: null,
        standing,
      })
      return store.findByUsername(username)
    },

    // By id, since somebody else may have got the username meanwhile; and not one that became a local account.
    async settle({ id }, standing) {
      const current = await store.findById(id)
      if (current?.directory !== true) return undefined
      await store.change({ id }, { standing })
      return store.findById(id)
    },

    touch: (account) => release([account], new Date(now())),

    async claim(before, lease, limit) {
      const due = db
        .selectFrom('accounts')
        .select('id')
        .where('directory', '=', true)
        .where('directory_checked_at', '<', before)
        .orderBy('directory_checked_at')
        .limit(limit)
        .forUpdate()
        .skipLocked()
      const rows = await db
        .updateTable('accounts')
        .set({ directory_checked_at: lease })
        .where('id', 'in', due)
        .returningAll()
        .execute()
      return rows.map(toAccount)
    },

    release,
  }
}
