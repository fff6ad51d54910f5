import type { Access } from '@registry-manager/oci'
import { includesAction } from '@registry-manager/oci'
import type { Role } from '@registry-manager/principal'

/** The account of a user, as auth-service describes it. */
export interface UserAccount {
  readonly role: Role
  readonly namespaces: readonly string[]
}

/** The account of a registry token. The names in its scopes are patterns of repository names. */
export interface RegistryTokenAccount {
  readonly scopes: readonly Access[]
}

export type Account = UserAccount | RegistryTokenAccount

/** Which repositories a list shows. */
export type Visibility =
  | { readonly kind: 'all' }
  /** Those that the namespaces cover, and global ones. */
  | { readonly kind: 'namespaces'; readonly namespaces: readonly string[] }
  /** Those that the patterns cover, and no global ones besides. */
  | { readonly kind: 'patterns'; readonly patterns: readonly string[] }

/**
 * What `GET /v2/_catalog` lists: for a cluster administrator all repositories, for other users those of their
 * namespaces and global ones, for a registry token those that it may pull.
 */
export function catalogVisibility(account: Account): Visibility {
  if ('scopes' in account) return tokenVisibility(account)
  const { role, namespaces } = account
  return role === 'cluster-administrator' ? { kind: 'all' } : { kind: 'namespaces', namespaces }
}

/** What image management lists. Every administrator sees all repositories there (seed 001). */
export function managementVisibility(account: Account): Visibility {
  if ('scopes' in account) return tokenVisibility(account)
  const { role, namespaces } = account
  return role === 'user' ? { kind: 'namespaces', namespaces } : { kind: 'all' }
}

/**
 * Leaves out namespaces that lie within another one. The result is ordered so that all names of a namespace precede
 * all names of the next. Byte order: namespaces are ASCII.
 */
export function outermost(namespaces: readonly string[]): string[] {
  const prefixes = namespaces.map((namespace) => `${namespace}/`).toSorted()
  const outer: string[] = []
  for (const prefix of prefixes) {
    // Sorted, a namespace directly precedes those within it.
    if (outer.length === 0 || !prefix.startsWith(outer.at(-1) ?? '')) outer.push(prefix)
  }
  return outer.map((prefix) => prefix.slice(0, -1))
}

function tokenVisibility({ scopes }: RegistryTokenAccount): Visibility {
  const pullable = scopes.filter(({ actions }) => includesAction(actions, 'pull'))
  return { kind: 'patterns', patterns: pullable.map(({ name }) => name) }
}
