import type { Access } from '@registry-manager/oci'
import type { Conditions } from '@registry-manager/principal'
import type { Account } from './account.ts'
import type { PrincipalName } from './registry-token.ts'

/**
 * A personal token: a credential that a user has made for themselves. It never changes, so an access token that was
 * requested with it is valid until the personal token ends.
 */
export interface PersonalToken {
  readonly id: string
  /** Unique for its owner, case-insensitively. */
  readonly name: string
  /** It permits nothing beyond these scopes, whose names are repository patterns; null: all that the owner may do. */
  readonly scopes: readonly Access[] | null
  /** The personal token is refused from this second on; null for never. */
  readonly expiresAt: Date | null
  /** It permits nothing unless they hold. Absent for none. */
  readonly conditions?: Conditions | undefined
}

/** A user for whom a personal token acts. The rights are the owner's; `via.scopes` limits them. */
export interface PersonalTokenPrincipal extends Account {
  readonly via: PersonalToken
}

/** A personal token as its management API shows it. */
export interface ManagedPersonalToken extends PersonalToken {
  readonly owner: PrincipalName
  readonly createdAt: Date
  readonly lastUsed: { readonly at: Date; readonly address: string } | undefined
}

/** Begins and ends with a letter or a digit. */
export const PERSONAL_TOKEN_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9 ._@-]{0,62}[A-Za-z0-9])?$/
/** The rule of PERSONAL_TOKEN_NAME in words, for messages. */
export const PERSONAL_TOKEN_NAME_RULE =
  'must be 1 to 64 letters, digits, spaces or . _ @ -, and begin and end with a letter or digit'
