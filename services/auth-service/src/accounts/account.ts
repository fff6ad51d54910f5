import type { DirectoryStanding, Powers } from '../directory/directory-state.ts'

export const ROLES = ['cluster-administrator', 'administrator', 'user'] as const
export type Role = (typeof ROLES)[number]

/** Somebody who may sign in. What they may do is what holdsExactly, the directory's say included. */
export interface Account extends Powers {
  readonly id: string
  readonly username: string
  /** Whether the password is the directory's. */
  readonly directory: boolean
  /** Every token names the generation that it was made in; a greater one ends it. */
  readonly generation: number
  readonly createdAt: Date
  /** What administrators gave, where that is not all that holds. */
  readonly own?: Powers
  /** What the directory said when it was last asked. */
  readonly standing?: DirectoryStanding
}

/** An account with what its password is checked against (argon2id, PHC string); null for directory accounts. */
export interface StoredAccount extends Account {
  readonly passwordHash: string | null
}
