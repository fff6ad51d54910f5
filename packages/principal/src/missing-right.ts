import type { RepositoryAction } from '@registry-manager/oci'
import { ACTIONS_OF_ROLE, GRANT_ROLES } from './rights.ts'

const PHRASES: Readonly<Record<RepositoryAction, string>> = {
  pull: 'pull from',
  push: 'push to',
  delete: 'delete in',
}

/** An action on a repository in words, such as `push to team/app`. */
export function describeAction(action: RepositoryAction, repository: string): string {
  return `${PHRASES[action]} ${repository}`
}

const ACTIVITIES: Readonly<Record<RepositoryAction, string>> = {
  pull: 'pulling from',
  push: 'pushing to',
  delete: 'deleting in',
}

/** An action on a repository as a noun, such as `pushing to team/app`. */
export function describeActivity(action: RepositoryAction, repository: string): string {
  return `${ACTIVITIES[action]} ${repository}`
}

/**
 * Names the principals who can grant the right to do an action on a repository, and the role that suffices. Uses only
 * the repository's name, so that it does not reveal whether the repository exists.
 */
export function describeWhoCanGrant(
  action: RepositoryAction,
  repository: string,
  subject: 'account' | 'workload' = 'account',
): string {
  if (subject === 'workload') return `${describeManagers(repository)} can add a scope to the trust rule`
  const role = GRANT_ROLES.find((name) => ACTIONS_OF_ROLE[name].includes(action))
  return `${describeManagers(repository)} can grant the role ${role} for ${repository}`
}

/** Names the principals who manage the grants of a repository. */
export function describeManagers(repository: string): string {
  const [namespace, ...rest] = repository.split('/')
  if (rest.length === 0) return 'a cluster administrator'
  return `an owner or administrator of ${namespace}, or a cluster administrator,`
}

/** The message for principals that do not manage a namespace. It depends on nothing but the namespace's name. */
export function describeManagement(namespace: string): string {
  return (
    `managing ${namespace} requires a cluster administrator, an administrator of ${namespace}, ` +
    `or a grant of the role owner for ${namespace}/*`
  )
}
