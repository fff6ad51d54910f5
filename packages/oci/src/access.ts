/**
 * One entry of a token's `access` claim: what may be done to one named resource.
 * Source: distribution, "Docker Registry v2 Bearer token specification", `access`.
 */
export interface Access {
  readonly type: string
  readonly name: string
  readonly actions: readonly string[]
  /**
   * Set where the access was granted because the repository is global: its number, and how often it had ceased to be
   * global by then. The registry ignores it.
   */
  readonly global?: GlobalMark
}

export type GlobalMark = readonly [repository: number, generation: number]

/** The actions on a repository, in the order in which tokens list them. */
export const REPOSITORY_ACTIONS = ['pull', 'push', 'delete'] as const
export type RepositoryAction = (typeof REPOSITORY_ACTIONS)[number]

/** Access to one repository. */
export function repositoryAccess(name: string, ...actions: RepositoryAction[]): Access {
  return { type: 'repository', name, actions }
}

/** Whether `held` has every action of `required`, to the letter, as distribution itself compares. */
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
  return required.actions.every(
    (action) =>
      holdsExactly(held, { ...required, actions: [action] }) ||
      (action === 'pull' && holdsExactly(held, { ...required, actions: ['push'] })),
  )
}

/** Writes access as a scope parameter: several entries separated by spaces. Source: RFC 6749 §3.3. */
export function formatScope(access: readonly Access[]): string {
  return access.map(({ type, name, actions }) => `${type}:${name}:${actions.join(',')}`).join(' ')
}
