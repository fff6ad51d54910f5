import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { StoredAccount } from '../principals/account.ts'
import { effectiveGrants } from '../access/effective-grants-repository.ts'
import { toAccount } from '../accounts/accounts-repository.ts'

/** Queries of directory users whose directory state is due to be read again. */
export function createDirectoryAccountsRepository(db: Database) {
  return {
    /**
     * Claims accounts whose state was read before a time, the oldest first, by setting that time to the end of the
     * lease. Concurrent claims get different accounts.
     */
    async claim(readBefore: Date, leaseEnd: Date, limit: number): Promise<StoredAccount[]> {
      const due = db
        .selectFrom('accounts')
        .select('id')
        .where('directory', '=', true)
        .where('directory_checked_at', '<', readBefore)
        .orderBy('directory_checked_at')
        .limit(limit)
        .forUpdate()
        .skipLocked()
      const rows = await db
        .updateTable('accounts')
        .set({ directory_checked_at: leaseEnd })
        .where('id', 'in', due)
        .returningAll()
        .returning(effectiveGrants)
        .execute()
      return rows.map(toAccount)
    },

    /** Sets when the state of accounts was read; null for accounts that are not to be read again. */
    async setReadAt(ids: readonly string[], readAt: Date | null): Promise<void> {
      if (ids.length === 0) return
      await db
        .updateTable('accounts')
        .set({ directory_checked_at: readAt })
        .where(sql<boolean>`id = any(${sql.val(ids)}::uuid[])`)
        .execute()
    },
  }
}
