import { Group, ListedUser } from '@registry-manager/auth-service/management'
import type { AccessFile, FileFault } from './access-file.ts'
import { findUnknownNames, namedKinds } from './find-unknown-names.ts'
import type { ManagementClient } from './management-client.ts'
import { planGroups } from './plan-groups.ts'
import { planNamespaces } from './plan-namespaces.ts'
import { planRegistryTokens, readRegistryTokens } from './plan-registry-tokens.ts'
import { planUsers, readUsers } from './plan-users.ts'
import type { Step } from './step.ts'

/** The sections that only cluster administrators may apply. */
const FOR_ADMINISTRATORS = ['users', 'groups', 'registryTokens'] as const

export type AccessPlan = { readonly steps: readonly Step[] } | { readonly faults: readonly FileFault[] }

/**
 * Compares a file with the server, and plans the changes in the order in which they depend on each other. Only reads.
 * Faults are what the server will refuse: names that do not exist, and sections for cluster administrators only.
 */
export async function planAccess(file: AccessFile, client: ManagementClient): Promise<AccessPlan> {
  const { username, role } = await client.get('/user', ListedUser)
  const isAdministrator = role === 'cluster-administrator'
  if (!isAdministrator) {
    const faults = FOR_ADMINISTRATORS.filter((section) => file[section].size > 0).map((section) => ({
      line: file.lineOf([section]),
      text:
        `${section} requires a cluster administrator, but ${username} is not one: ` +
        'move the namespaces that you own to a separate file',
    }))
    if (faults.length > 0) return { faults }
    return { steps: await planNamespaces(file.namespaces, client) }
  }
  const kinds = namedKinds(file)
  const users = file.users.size > 0 || kinds.has('user') ? await readUsers(client) : new Map<string, never>()
  const tokens =
    file.registryTokens.size > 0 || kinds.has('registry-token')
      ? await readRegistryTokens(client)
      : { path: '', byName: new Map<string, never>() }
  const groups = kinds.has('group') ? await client.list('/groups', Group) : []
  const names = {
    user: users,
    group: new Set(groups.map(({ name }) => name)),
    'registry-token': tokens.byName,
  }
  const faults = findUnknownNames(file, (kind, name) => names[kind].has(name))
  if (faults.length > 0) return { faults }
  return {
    steps: [
      ...planUsers(file.users, users),
      ...(await planGroups(file.groups, client)),
      ...planRegistryTokens(file.registryTokens, tokens),
      ...(await planNamespaces(file.namespaces, client)),
    ],
  }
}
