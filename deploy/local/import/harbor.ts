import { NAMESPACE_PATTERN } from '@registry-manager/oci'
import type { GrantRole } from '@registry-manager/principal'
import type { Static } from 'typebox'
import { GroupName } from '../apply/access-file.ts'
import { findSchemaFaults } from '../apply/find-schema-faults.ts'
import type { HarborClient } from './harbor-client.ts'
import { addRobot } from './harbor-robots.ts'
import { HarborUser, Project, ProjectMember, Robot, SystemInfo, UserGroup } from './harbor-schemas.ts'
import type { Import, Imported } from './imported.ts'
import { createImport } from './imported.ts'

/** Harbor's roles by their ids. Source: Harbor, "Managing Users", "User Permissions By Role". */
const ROLES: ReadonlyMap<number, GrantRole> = new Map([
  [1, 'owner'],
  [2, 'developer'],
  [3, 'reader'],
  [4, 'maintainer'],
  [5, 'reader'],
])
/** The id of the administrator that every Harbor has. */
const BUILT_IN_ADMINISTRATOR = 1
const LDAP_GROUP = 1

export interface HarborOptions {
  /** The id of the OpenID Connect provider here at which people of Harbor sign in. */
  readonly provider: string | undefined
  readonly nowMs: number
}

/**
 * Imports users, groups, project members and robots of a Harbor. A project becomes a namespace of the same name. Only
 * reads. Passwords and secrets cannot be read: Harbor has salted hashes, and its API does not show them.
 */
export async function importHarbor(client: HarborClient, options: HarborOptions): Promise<Imported> {
  const found = createImport()
  const { auth_mode: mode = 'db_auth' } = await client.get('/systeminfo', SystemInfo)
  const users = addUsers(found, await client.list('/users', HarborUser), mode, options.provider)
  const groups = new Map((await client.list('/usergroups', UserGroup)).map((group) => [group.id, group]))
  const robots = await client.list('/robots', Robot)
  for (const project of await client.list('/projects', Project)) {
    if (!new RegExp(NAMESPACE_PATTERN).test(project.name)) {
      found.report(`project ${project.name} is not imported: the name is not a valid namespace`)
      continue
    }
    if (project.metadata?.public === 'true') {
      found.report(
        `project ${project.name} is public in Harbor, but not in registry-manager: set the scope of its repositories to global ` +
          '(PUT /image-manager/api/v1/repositories/…), and see ANONYMOUS_PULL',
      )
    }
    const members = await client.list(`/projects/${project.project_id}/members`, ProjectMember)
    for (const member of members) addMember(found, project.name, member, users, groups)
    const query = `&q=${encodeURIComponent(`Level=project,ProjectID=${project.project_id}`)}`
    robots.push(...(await client.list('/robots', Robot, query)))
  }
  for (const robot of new Map(robots.map((one) => [one.name, one])).values())
    addRobot(found, robot, options.nowMs)
  const isDeleting = [...found.finish().grants.values()].flat().some(({ role }) => role === 'maintainer')
  if (isDeleting)
    found.report(
      'maintainers in registry-manager may also set the scope of a repository (global: all users may pull)',
    )
  return found.finish()
}

/** Adds the users. Returns their usernames here by their ids in Harbor. */
function addUsers(
  found: Import,
  users: readonly Static<typeof HarborUser>[],
  mode: string,
  provider: string | undefined,
): ReadonlyMap<number, string> {
  if (mode === 'oidc_auth' && provider === undefined) {
    found.report(
      `${users.length} users and their rights are not imported: they sign in at an OpenID Connect provider. Configure it ` +
        '(OIDC_PROVIDERS_FILE) and run the import with --provider=ID',
    )
    return new Map()
  }
  const source = mode === 'ldap_auth' ? { ad: true } : mode === 'oidc_auth' ? { provider } : {}
  const names = new Map<number, string>()
  let withoutPassword = 0
  for (const { user_id: id, username: original, sysadmin_flag: isAdministrator = false } of users) {
    if (id === BUILT_IN_ADMINISTRATOR) {
      found.report(`user ${original} is not imported: it is Harbor's own administrator`)
      continue
    }
    const entry = { ...source, ...(isAdministrator && { role: 'cluster-administrator' as const }) }
    const username = found.addUser(original, entry)
    if (username === undefined) continue
    names.set(id, username)
    if (mode !== 'ldap_auth' && mode !== 'oidc_auth') withoutPassword += 1
  }
  if (withoutPassword > 0) {
    found.report(
      `${withoutPassword} users get new passwords: Harbor does not show the hashes of their passwords`,
    )
  }
  for (const [id, username] of names) if (!found.hasUser(username)) names.delete(id)
  return names
}

function addMember(
  found: Import,
  project: string,
  member: Static<typeof ProjectMember>,
  users: ReadonlyMap<number, string>,
  groups: ReadonlyMap<number, Static<typeof UserGroup>>,
): void {
  const { entity_name: name, entity_id: id, entity_type: kind, role_id: roleId } = member
  const role = ROLES.get(roleId)
  const leaveOut = (why: string) =>
    found.report(`${kind === 'g' ? 'group' : 'user'} ${name} gets no rights in ${project}: ${why}`)
  if (role === undefined) return leaveOut(`its role has the unknown id ${roleId}`)
  const terms = { repositories: `${project}/*`, role }
  if (kind === 'g') {
    const group = addGroup(found, groups.get(id), name)
    if (group !== undefined) found.addGrant({ kind: 'group', name: group }, terms)
    return
  }
  const username = users.get(id)
  if (username !== undefined) return found.addGrant({ kind: 'user', name: username }, terms)
  if (id !== BUILT_IN_ADMINISTRATOR) leaveOut('the user is not imported')
}

/** Adds a group once, and returns its name here; undefined if it cannot have one. */
function addGroup(
  found: Import,
  group: Static<typeof UserGroup> | undefined,
  original: string,
): string | undefined {
  const name = original.toLowerCase()
  if (findSchemaFaults(GroupName, name).length > 0) {
    found.report(
      `group ${original} is not imported: the name is not valid in registry-manager (letters, digits or . _ @ -)`,
    )
    return undefined
  }
  const dn = group?.group_type === LDAP_GROUP ? group.ldap_group_dn : undefined
  const entry = dn ? { mappings: [{ directory: dn }] } : {}
  const others = found.finish().groups.get(name)
  if (others !== undefined && JSON.stringify(others) !== JSON.stringify(entry)) {
    found.report(
      `group ${original} is not imported: another group of Harbor has the same name in registry-manager`,
    )
    return undefined
  }
  found.addGroup(name, entry)
  if (!dn) {
    found.report(
      `group ${original} has no members yet: Harbor does not list them. Give it a mapping to the group of the ` +
        'provider, or members',
    )
  }
  return name
}
