import type { AccountState } from './account-state.ts'

/** Somebody, as the directory has them. */
export interface Person {
  readonly dn: string
  readonly state: AccountState
  /** Those of the mapped groups that they are in; normalised. */
  readonly groups: readonly string[]
}

/** Whom a name means: exactly one, or nobody that we would take for them. */
export type Looked =
  | { readonly outcome: 'found'; readonly person: Person }
  | { readonly outcome: 'gone' }
  | { readonly outcome: 'ambiguous' }

export type Verification =
  | { readonly outcome: 'verified'; readonly person: Person }
  /** `sure`: that password is wrong, and it is nothing else. */
  | { readonly outcome: 'wrong-password'; readonly sure: boolean }
  /** Not let in, whatever the password. */
  | { readonly outcome: 'barred'; readonly looked: Looked }

/** The directory did not answer: nothing is known, least of all that a password were wrong. */
export class DirectoryUnavailable extends Error {
  override readonly name = 'DirectoryUnavailable'
}

/** Every method throws DirectoryUnavailable, in less than three seconds. A known name spares a search for groups. */
export interface Directory {
  /** Finds a user by the service account; undefined where there is none. */
  readonly find: ((username: string, knownDn?: string) => Promise<Looked>) | undefined
  /** Finds a user and tries a password. It must not be empty, nor hold NUL. */
  verify(username: string, password: string, knownDn?: string): Promise<Verification>
}
