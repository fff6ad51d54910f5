import type { EffectiveGrant, Role } from '@registry-manager/principal'
import { ROLES } from '@registry-manager/principal'

/** The rights of an account, without its grants. */
export interface Rights {
  readonly role: Role
  readonly enabled: boolean
  readonly namespaces: readonly string[]
}

/** The state of a directory user, as the directory last reported it. */
export interface DirectoryState {
  /** The distinguished name of the user's entry; null when the username matches no entry, or several. */
  readonly dn: string | null
  /** `gone`: no entry matches the username. `ambiguous`: several entries match it. */
  readonly state: 'active' | 'disabled' | 'expired' | 'locked' | 'gone' | 'ambiguous'
  /** The highest role that the user's groups give; null when they give none. */
  readonly role: Role | null
  readonly namespaces: readonly string[]
}

/** A user. The rights are the effective ones: those of the directory are included. */
export interface Account extends Rights {
  readonly id: string
  readonly username: string
  /** Whether the directory verifies the password. */
  readonly directory: boolean
  /** The id of the OpenID Connect provider at which the user signs in; absent for others. */
  readonly provider?: string
  /** Access tokens and refresh tokens of lower generations are revoked. */
  readonly generation: number
  readonly createdAt: Date
  /** Its own grants and those of its groups. */
  readonly grants: readonly EffectiveGrant[]
  /** The rights that administrators gave, when the effective ones differ from them. */
  readonly own?: Rights
  readonly directoryState?: DirectoryState
}

/** An account in a list of users, which does not show grants. */
export type ListedAccount = Omit<Account, 'grants'>

/**
 * An account with its password's argon2id hash in PHC format, or with the bcrypt hash of another system until the first
 * sign-in. Null for users of the directory or of a provider.
 */
export interface StoredAccount extends Account {
  readonly passwordHash: string | null
}

/**
 * Names an account by its username or by its id. After a first lookup use the id: the account may have been deleted
 * since, and a new account may have its username.
 */
export type AccountRef = string | Pick<Account, 'id'>

export interface NewAccount extends Rights {
  readonly username: string
  readonly directory: boolean
  readonly provider?: string | null
  readonly passwordHash: string | null
  readonly directoryState?: DirectoryState
}

/** Absent fields keep their values. `directoryState: undefined` removes the directory state. */
export type AccountUpdate = Partial<Omit<NewAccount, 'username'>> & { readonly generation?: number }

/** Accounts, and groups with all their members. */
export interface AffectedAccounts {
  readonly accountIds?: readonly string[]
  readonly groupIds?: readonly string[]
}

/** Conditions for the users in a list. */
export interface UserFilter {
  /** Part of the username; case-insensitive. */
  readonly search?: string | undefined
  /** A namespace that the user has, from an administrator or from a group. */
  readonly namespace?: string | undefined
}

/**
 * The rights that administrators gave, and those that groups give. A user that the directory does not list as active is
 * disabled.
 */
export function effectiveRights(own: Rights, directoryState: DirectoryState | undefined): Rights {
  if (directoryState === undefined) return own
  const role = ROLES.find((name) => name === own.role || name === directoryState.role) ?? own.role
  const namespaces = [...new Set([...own.namespaces, ...directoryState.namespaces])].toSorted()
  return { role, enabled: own.enabled && directoryState.state === 'active', namespaces }
}

/** The rights that administrators gave, without those of the directory. */
export function ownRightsOf({ own, role, enabled, namespaces }: Account): Rights {
  return own ?? { role, enabled, namespaces }
}

/** Whether an account can manage the installation. At least one account must. */
export function isClusterAdministrator({ role, enabled }: Pick<Rights, 'role' | 'enabled'>): boolean {
  return role === 'cluster-administrator' && enabled
}
