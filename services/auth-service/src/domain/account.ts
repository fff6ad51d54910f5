export const ROLES = ['cluster-administrator', 'administrator', 'user'] as const
export type Role = (typeof ROLES)[number]

/** Somebody who may sign in. */
export interface Account {
  readonly id: string
  readonly username: string
  /** Whether the password is the directory's. */
  readonly directory: boolean
  readonly role: Role
  readonly enabled: boolean
  readonly namespaces: readonly string[]
  /** Every token names the generation that it was made in; a greater one ends it. */
  readonly generation: number
  readonly createdAt: Date
}

/** An account with what its password is checked against (argon2id, PHC string); null for directory accounts. */
export interface StoredAccount extends Account {
  readonly passwordHash: string | null
}
