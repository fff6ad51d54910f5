/**
 * One entry of a token's `access` claim: a resource and the granted actions.
 * Source: distribution, "Docker Registry v2 Bearer token specification", `access`.
 */
export interface Access {
  readonly type: string
  readonly name: string
  readonly actions: readonly string[]
  /**
   * Set if the access was granted because the repository is global: the repository's number, and the number of times
   * that it had ceased to be global when the token was issued. The registry ignores this field.
   */
  readonly global?: GlobalMark
  /**
   * Set if the access was granted to clients in these networks only: CIDR ranges and addresses. Our services compare
   * the client's address with them. The registry ignores this field.
   */
  readonly networks?: readonly string[]
  /**
   * Set if only some tags may be pushed: a pattern, or several joined by `&`, all of which a tag must match.
   * registry-proxy compares them; the registry does not.
   */
  readonly tags?: string
}

export type GlobalMark = readonly [repository: number, generation: number]

/** The actions on a repository, in the order in which tokens list them. */
export const REPOSITORY_ACTIONS = ['pull', 'push', 'delete'] as const
export type RepositoryAction = (typeof REPOSITORY_ACTIONS)[number]

/** Access to one repository. */
export function repositoryAccess(name: string, ...actions: RepositoryAction[]): Access {
  return { type: 'repository', name, actions }
}

/** Whether `held` has every action of `required`. `push` does not include `pull`, as in distribution itself. */
export function holdsExactly(held: readonly Access[], required: Access): boolean {
  return required.actions.every((action) =>
    held.some(
      (entry) =>
        entry.type === required.type && entry.name === required.name && entry.actions.includes(action),
    ),
  )
}

/** Whether `held` permits every action of `required`, where `push` includes `pull`. */
export function permits(held: readonly Access[], required: Access): boolean {
  return required.actions.every((action) =>
    held.some(
      ({ type, name, actions }) =>
        type === required.type && name === required.name && includesAction(actions, action),
    ),
  )
}

/** Whether actions include an action, where `push` includes `pull`. */
export function includesAction(actions: readonly string[], action: string): boolean {
  return actions.includes(action) || (action === 'pull' && actions.includes('push'))
}

/** Formats access as a scope parameter, entries separated by spaces. Source: RFC 6749 §3.3. */
export function formatScope(access: readonly Access[]): string {
  return access.map(({ type, name, actions }) => `${type}:${name}:${actions.join(',')}`).join(' ')
}
