import type { EntryState } from './entry-state.ts'

/** A user's entry in the directory. */
export interface DirectoryEntry {
  readonly dn: string
  readonly state: EntryState
  /** Normalised names of the mapped groups that the user is a member of. */
  readonly groups: readonly string[]
}

/** The entry that a username matches. `gone`: there is none. `ambiguous`: there are several. */
export type DirectoryLookup =
  | { readonly outcome: 'found'; readonly entry: DirectoryEntry }
  | { readonly outcome: 'gone' }
  | { readonly outcome: 'ambiguous' }

/** The mapped groups of a user; none if the directory does not know the user. */
export function groupsOfLookup(lookup: DirectoryLookup): readonly string[] {
  return lookup.outcome === 'found' ? lookup.entry.groups : []
}

export type Verification =
  | { readonly outcome: 'verified'; readonly entry: DirectoryEntry }
  /** `sure`: the password is certainly wrong; the refusal has no other cause. */
  | { readonly outcome: 'wrong-password'; readonly sure: boolean }
  /** The user may not sign in, whatever the password is. */
  | { readonly outcome: 'forbidden'; readonly lookup: DirectoryLookup }

/** The directory did not respond, so nothing is known about the password. */
export class DirectoryUnavailable extends Error {
  override readonly name = 'DirectoryUnavailable'
}

/** Methods throw DirectoryUnavailable within three seconds. A known distinguished name saves a search for groups. */
export interface Directory {
  /** Finds a user with the service account; undefined without a service account. */
  readonly find: ((username: string, knownDn?: string) => Promise<DirectoryLookup>) | undefined
  /** Finds a user and verifies the password, which must not be empty and must not contain NUL. */
  verify(username: string, password: string, knownDn?: string): Promise<Verification>
}

export type DirectoryLog = (level: 'info' | 'warn' | 'error', details: object, message: string) => void
