import type { RecordListsOfEvents } from '@registry-manager/events'
import type { AffectedAccounts } from '../principals/account.ts'
import { memberChanged } from './access-events.ts'

/** A membership to be added, because its source gives it, or to be removed, because its source gives it no longer. */
export interface MembershipChange {
  readonly groupId: string
  readonly group: string
  readonly name: string
  readonly isWanted: boolean
}

export interface MembershipRepositories {
  compareMemberships(
    accountId: string,
    source: string,
    names: readonly string[],
  ): Promise<readonly MembershipChange[]>
  applyMemberships(accountId: string, source: string, changes: readonly MembershipChange[]): Promise<void>
  raiseGenerations(affected: AffectedAccounts): Promise<unknown>
  readonly recordEvents: RecordListsOfEvents
}

export interface ExternalMembershipsPorts {
  readonly compareMemberships: MembershipRepositories['compareMemberships']
  inTransaction<Result>(work: (repositories: MembershipRepositories) => Promise<Result>): Promise<Result>
}

/**
 * Sets the memberships of an account that come from one source. `names` are the names of the account's groups in that
 * source. Afterwards the account is a member, by this source, of exactly those groups that have a mapping to one of
 * these names. Returns whether a membership changed. If so, the account has other rights and a new generation. Costs
 * one query if nothing changed.
 */
export type SetExternalMemberships = (
  account: { readonly id: string; readonly username: string },
  source: string,
  names: readonly string[],
) => Promise<boolean>

export function createSetExternalMemberships(ports: ExternalMembershipsPorts): SetExternalMemberships {
  return async ({ id, username }, source, names) => {
    if ((await ports.compareMemberships(id, source, names)).length === 0) return false
    return ports.inTransaction(async (repositories) => {
      const changes = await repositories.compareMemberships(id, source, names)
      if (changes.length === 0) return false
      await repositories.applyMemberships(id, source, changes)
      await repositories.raiseGenerations({ accountIds: [id] })
      await repositories.recordEvents(
        changes.map(({ group, isWanted }) => {
          const action = isWanted ? 'group-member.add' : 'group-member.remove'
          return memberChanged(action, group, { name: username, id }, source)
        }),
      )
      return true
    })
  }
}
