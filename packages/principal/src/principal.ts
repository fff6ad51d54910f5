import type { Access } from '@registry-manager/oci'

/** The principal of a request, as stated by the verified access token. */
export interface Principal {
  readonly uid: string
  /** The id of the personal token that acts for the account. Absent otherwise. */
  readonly via?: string
  /** The ids of further trust rules that accept the workload's token. Absent for all others. */
  readonly rules?: readonly string[]
  /** Null for an identity token, which names the account and grants no access. */
  readonly access: readonly Access[] | null
  /**
   * The token was issued while the database was unavailable. It permits pulls only, whatever else the account may
   * do. Absent otherwise.
   */
  readonly offline?: true
  /** Access of the token that counts only for clients in other networks. Absent if there is none. */
  readonly elsewhere?: readonly Access[]
}

/** The `uid` of anonymous access tokens (ANONYMOUS_PULL). No account has it: account ids are UUIDs. */
export const ANONYMOUS_UID = 'anonymous'

/** The roles of accounts, the most powerful first. A registry token has the role `user`. */
export const ROLES = ['cluster-administrator', 'administrator', 'user'] as const
export type Role = (typeof ROLES)[number]
