import type { Account } from '../principals/account.ts'
import type { OidcProvider } from './config.ts'
import type { Person } from './read-claims.ts'

export type AccountDecision =
  /** The person gets this account. `link`: the account is not linked to a person yet. */
  | { readonly outcome: 'account'; readonly account: Account; readonly link: boolean }
  | { readonly outcome: 'create' }
  | { readonly outcome: 'refused'; readonly reason: 'disabled' | 'other-account' | 'no-account' }

export interface AccountCandidates {
  readonly provider: Pick<OidcProvider, 'id' | 'createAccounts'>
  readonly person: Person
  /** The account to which this person at the provider is linked. */
  readonly linked: Account | undefined
  /** The account that has the person's username. */
  readonly named: Account | undefined
  /** Whether `named` is linked to a person at a provider. */
  readonly isNamedLinked: boolean
}

/**
 * Decides which account a person at a provider gets. The provider's subject identifies the person; the username counts
 * at the first sign-in only, for a new account or for one that an administrator has created for this provider. An
 * account with a password, of the directory or of another provider is never taken over.
 */
export function decideAccount(facts: AccountCandidates): AccountDecision {
  const { provider, person, linked, named, isNamedLinked } = facts
  const account = linked ?? named
  if (account === undefined) {
    return mayCreate(provider, person) ? { outcome: 'create' } : { outcome: 'refused', reason: 'no-account' }
  }
  const isTaken = linked === undefined && isNamedLinked
  if (account.provider !== provider.id || isTaken) return { outcome: 'refused', reason: 'other-account' }
  if (!account.enabled) return { outcome: 'refused', reason: 'disabled' }
  return { outcome: 'account', account, link: linked === undefined }
}

function mayCreate({ createAccounts }: AccountCandidates['provider'], { groups = [] }: Person): boolean {
  if (typeof createAccounts === 'boolean') return createAccounts
  return groups.some((group) => createAccounts.includes(group))
}
