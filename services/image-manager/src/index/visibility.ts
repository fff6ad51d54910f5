import type { Access } from '@registry-manager/oci'
import { namespaceCovers, permits, permittedByScopes, repositoryAccess } from '@registry-manager/oci'

/** Somebody's account, as auth-service tells of it. */
export interface Account {
  readonly role: 'cluster-administrator' | 'administrator' | 'user'
  readonly namespaces: readonly string[]
}

/** A registry token: it may do what its scopes say, whose names are patterns of repositories. */
export interface RegistryToken {
  readonly scopes: readonly Access[]
}

export type Holder = Account | RegistryToken

export type RepositoryScope = 'namespace' | 'global'

/** Which repositories somebody may see. */
export type Visibility =
  | { readonly kind: 'all' }
  | { readonly kind: 'namespaces'; readonly namespaces: readonly string[] }
  /** What patterns cover, and no global ones besides. */
  | { readonly kind: 'patterns'; readonly patterns: readonly string[] }

/**
 * What is listed through the registry API: for an account its own and global ones, for cluster administrators all,
 * for a registry token what it may pull.
 */
export function catalogVisibility(holder: Holder): Visibility {
  if ('scopes' in holder) return tokenVisibility(holder)
  const { role, namespaces } = holder
  return role === 'cluster-administrator' ? { kind: 'all' } : { kind: 'namespaces', namespaces }
}

/** What an account sees through image management: administrators see everything there (seed 001). */
export function managementVisibility(holder: Holder): Visibility {
  if ('scopes' in holder) return tokenVisibility(holder)
  const { role, namespaces } = holder
  return role === 'user' ? { kind: 'namespaces', namespaces } : { kind: 'all' }
}

/**
 * Namespaces without those that lie within another, in such an order that all names in one of them come before
 * all names in the next. Byte order: namespaces are ASCII.
 */
export function outermost(namespaces: readonly string[]): string[] {
  const prefixes = namespaces.map((namespace) => `${namespace}/`).toSorted()
  const kept: string[] = []
  for (const prefix of prefixes) {
    // What lies within a namespace follows right after it.
    if (kept.length === 0 || !prefix.startsWith(kept.at(-1) ?? '')) kept.push(prefix)
  }
  return kept.map((prefix) => prefix.slice(0, -1))
}

function tokenVisibility({ scopes }: RegistryToken): Visibility {
  const pulling = scopes.filter(({ actions }) => actions.includes('pull') || actions.includes('push'))
  return { kind: 'patterns', patterns: pulling.map(({ name }) => name) }
}

export type Action = 'list' | 'get' | 'set-scope' | 'delete'

export interface Requester {
  readonly account: Holder
  /** What the token carries; null for an identity token or a password, which act as the account. */
  readonly access: readonly Access[] | null
}

/**
 * `forbidden`: the account sees the repository and may not do that. `insufficient`: the account may, but the token carries
 * less.
 */
export type Verdict = 'allowed' | 'forbidden' | 'insufficient' | 'not-visible'

/** Whether a requester may do something to a repository; `scope` is undefined where there is none of that name. */
export function judge(
  { account, access }: Requester,
  action: Exclude<Action, 'list'>,
  repository: string,
  scope: RepositoryScope | undefined,
): Verdict {
  if ('scopes' in account) return judgeToken({ account, access }, action, repository, scope)
  const own = account.namespaces.some((namespace) => namespaceCovers(namespace, repository))
  const manages = account.role !== 'user'
  const sees = scope !== undefined && (manages || own || scope === 'global')
  if (!sees || !shows({ account, access }, repository)) return 'not-visible'
  if (action === 'get') return carries(access, repository, 'pull') ? 'allowed' : 'insufficient'
  if (!manages && !own) return 'forbidden'
  if (action === 'delete') return carries(access, repository, 'delete') ? 'allowed' : 'insufficient'
  return access === null ? 'allowed' : 'insufficient'
}

/** A registry token sees what it may pull; it changes images through the registry API alone. */
function judgeToken(
  { account, access }: { account: RegistryToken; access: readonly Access[] | null },
  action: Exclude<Action, 'list'>,
  repository: string,
  scope: RepositoryScope | undefined,
): Verdict {
  const sees = scope !== undefined && permittedByScopes(account.scopes, repository).includes('pull')
  if (!sees || !shows({ account, access }, repository)) return 'not-visible'
  if (action !== 'get') return 'forbidden'
  return carries(access, repository, 'pull') ? 'allowed' : 'insufficient'
}

/** Whether what a requester shows lets them know of a repository that the account sees: the list would show it, too. */
function shows(requester: Requester, repository: string): boolean {
  return carries(requester.access, repository, 'pull', 'delete') || mayList(requester)
}

/** Whether a requester may list at all: a token that carries access must forward the catalog's. */
export function mayList({ access }: Requester): boolean {
  return access === null || permits(access, { type: 'registry', name: 'catalog', actions: ['*'] })
}

/** Whether access has one of these actions on a repository; null access has all that the account has. */
function carries(
  access: readonly Access[] | null,
  repository: string,
  ...actions: ('pull' | 'delete')[]
): boolean {
  return access === null || actions.some((action) => permits(access, repositoryAccess(repository, action)))
}
