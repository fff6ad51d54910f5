import type { AccountsTable } from '@registry-manager/database'
import type { Selectable } from 'kysely'
import type { Account } from '../accounts/account.ts'
import type { DirectoryStanding } from './directory-state.ts'
import { powersOf } from './directory-state.ts'

/** The columns of a standing; all empty for an account that is not the directory's. */
export function standingColumns(standing: DirectoryStanding | undefined) {
  return {
    directory_dn: standing?.dn ?? null,
    directory_state: standing?.state ?? null,
    directory_role: standing?.role ?? null,
    directory_namespaces: [...(standing?.namespaces ?? [])],
    directory_checked_at: standing === undefined ? null : new Date(),
  }
}

/** What holds for an account, from what its row says. */
export function standingFields(
  row: Selectable<AccountsTable>,
): Pick<Account, 'role' | 'enabled' | 'namespaces' | 'own' | 'standing'> {
  const { role, enabled, namespaces, directory_dn: dn, directory_state: state } = row
  const own = { role, enabled, namespaces }
  if (state === null) return own
  const standing = { dn, state, role: row.directory_role, namespaces: row.directory_namespaces }
  return { ...powersOf(own, standing), own, standing }
}
