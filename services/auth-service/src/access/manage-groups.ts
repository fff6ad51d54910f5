import type { RecordListsOfEvents } from '@registry-manager/events'
import type { FieldFault } from '@registry-manager/http'
import { groupChanged, memberChanged } from './access-events.ts'
import type { Group, GroupMapping, GroupMappingInput, GroupMember } from './group.ts'
import { LOCAL, toMapping, toMappingInput } from './group.ts'
import type { KeysetPage } from './page.ts'
import type { AffectedAccounts } from '../principals/account.ts'

/** The queries of one transaction. */
export interface GroupRepositories {
  lockGroup(name: string): Promise<Group | undefined>
  insertGroup(name: string): Promise<Group | undefined>
  deleteGroup(id: string): Promise<void>
  setMappings(id: string, mappings: readonly GroupMapping[]): Promise<void>
  localMembers(groupId: string): Promise<ReadonlyMap<string, string>>
  findUsers(usernames: readonly string[]): Promise<ReadonlyMap<string, string>>
  addLocalMembers(groupId: string, accountIds: readonly string[]): Promise<void>
  removeLocalMembers(groupId: string, accountIds: readonly string[]): Promise<void>
  /** Ends the access tokens of accounts and of the members of groups. */
  raiseGenerations(affected: AffectedAccounts): Promise<unknown>
  readonly recordEvents: RecordListsOfEvents
}

export interface ManageGroupsPorts {
  listGroups(page: KeysetPage): Promise<Group[]>
  findGroup(name: string): Promise<Group | undefined>
  listMembers(groupId: string, page: KeysetPage): Promise<GroupMember[]>
  inTransaction<Result>(work: (repositories: GroupRepositories) => Promise<Result>): Promise<Result>
}

type Fault = { readonly fault: FieldFault }
type Absent = { readonly refused: 'absent' }

export interface MemberCounts {
  readonly added: number
  readonly removed: number
  readonly unchanged: number
}

/** Manages groups. Names of groups and users are in lower case. */
export interface ManageGroups {
  list(page: KeysetPage): Promise<Group[]>
  find(name: string): Promise<Group | undefined>
  create(
    name: string,
    mappings: readonly GroupMappingInput[],
  ): Promise<{ readonly group: Group } | Fault | { readonly refused: 'taken' }>
  /** Creates a group, or replaces its mappings. */
  put(
    name: string,
    mappings: readonly GroupMappingInput[],
  ): Promise<{ readonly group: Group; readonly isNew: boolean } | Fault>
  delete(name: string): Promise<boolean>
  /** Undefined if there is no such group. */
  listMembers(name: string, page: KeysetPage): Promise<GroupMember[] | undefined>
  addMember(name: string, username: string): Promise<'done' | 'no-group' | 'no-user'>
  removeMember(name: string, username: string): Promise<'done' | 'no-group' | 'no-member'>
  /** Makes these users the only local members. */
  replaceMembers(name: string, usernames: readonly string[]): Promise<MemberCounts | Fault | Absent>
}

export function createManageGroups(ports: ManageGroupsPorts): ManageGroups {
  const { inTransaction } = ports

  /** Creates a group with its mappings; undefined if the name is taken. */
  const insert = async (
    repositories: GroupRepositories,
    name: string,
    mappings: readonly GroupMapping[],
  ): Promise<Group | undefined> => {
    const group = await repositories.insertGroup(name)
    if (group === undefined) return undefined
    await repositories.setMappings(group.id, mappings)
    await repositories.recordEvents(
      groupChanged('group.create', name, { mappings: mappings.map(toMappingInput) }),
    )
    return { ...group, mappings }
  }

  const change = async (
    repositories: GroupRepositories,
    group: Group,
    mappings: readonly GroupMapping[],
  ): Promise<Group> => {
    const [from, to] = [group.mappings.map(toMappingInput), mappings.map(toMappingInput)]
    if (JSON.stringify(from) === JSON.stringify(to)) return group
    // This comes first: `setMappings` deletes the members of removed mappings, whose generation must be raised, too.
    await repositories.raiseGenerations({ groupIds: [group.id] })
    await repositories.setMappings(group.id, mappings)
    await repositories.recordEvents(groupChanged('group.update', group.name, { mappings: { from, to } }))
    return { ...group, mappings }
  }

  /** Adds and removes local members, given by username with their ids. */
  const changeMembers = async (
    repositories: GroupRepositories,
    group: Group,
    added: ReadonlyMap<string, string>,
    removed: ReadonlyMap<string, string>,
  ): Promise<void> => {
    const accountIds = [...added.values(), ...removed.values()]
    if (accountIds.length === 0) return
    await repositories.addLocalMembers(group.id, [...added.values()])
    await repositories.removeLocalMembers(group.id, [...removed.values()])
    await repositories.raiseGenerations({ accountIds })
    const eventsOf = (action: Parameters<typeof memberChanged>[0], members: ReadonlyMap<string, string>) =>
      [...members].map(([name, id]) => memberChanged(action, group.name, { name, id }, LOCAL))
    await repositories.recordEvents(
      eventsOf('group-member.add', added),
      eventsOf('group-member.remove', removed),
    )
  }

  return {
    list: ports.listGroups,
    find: ports.findGroup,

    async create(name, given) {
      const parsed = parseMappings(given)
      if ('fault' in parsed) return parsed
      return inTransaction(async (repositories) => {
        const group = await insert(repositories, name, parsed.mappings)
        return group === undefined ? { refused: 'taken' } : { group }
      })
    },

    async put(name, given) {
      const parsed = parseMappings(given)
      if ('fault' in parsed) return parsed
      return inTransaction(async (repositories) => {
        const isNew = await insert(repositories, name, parsed.mappings)
        if (isNew !== undefined) return { group: isNew, isNew: true }
        const group = await repositories.lockGroup(name)
        if (group === undefined) throw new Error(`the group ${name} was deleted while it was being changed`)
        return { group: await change(repositories, group, parsed.mappings), isNew: false }
      })
    },

    delete: (name) =>
      inTransaction(async (repositories) => {
        const group = await repositories.lockGroup(name)
        if (group === undefined) return false
        await repositories.raiseGenerations({ groupIds: [group.id] })
        await repositories.deleteGroup(group.id)
        await repositories.recordEvents(groupChanged('group.delete', name))
        return true
      }),

    async listMembers(name, page) {
      const group = await ports.findGroup(name)
      return group && ports.listMembers(group.id, page)
    },

    addMember: (name, username) =>
      inTransaction(async (repositories) => {
        const group = await repositories.lockGroup(name)
        if (group === undefined) return 'no-group'
        const found = await repositories.findUsers([username])
        if (found.size === 0) return 'no-user'
        const isMember = (await repositories.localMembers(group.id)).has(username)
        if (!isMember) await changeMembers(repositories, group, found, new Map())
        return 'done'
      }),

    removeMember: (name, username) =>
      inTransaction(async (repositories) => {
        const group = await repositories.lockGroup(name)
        if (group === undefined) return 'no-group'
        const id = (await repositories.localMembers(group.id)).get(username)
        if (id === undefined) return 'no-member'
        await changeMembers(repositories, group, new Map(), new Map([[username, id]]))
        return 'done'
      }),

    replaceMembers: (name, usernames) =>
      inTransaction(async (repositories) => {
        const group = await repositories.lockGroup(name)
        if (group === undefined) return { refused: 'absent' }
        const wanted = await repositories.findUsers(usernames)
        const missing = usernames.findIndex((username) => !wanted.has(username))
        if (missing !== -1) {
          const detail = `must name a user; there is no ${usernames[missing]}`
          return { fault: { field: `items.${missing}.username`, detail } }
        }
        const present = await repositories.localMembers(group.id)
        const added = new Map([...wanted].filter(([username]) => !present.has(username)))
        const removed = new Map([...present].filter(([username]) => !wanted.has(username)))
        await changeMembers(repositories, group, added, removed)
        return { added: added.size, removed: removed.size, unchanged: present.size - removed.size }
      }),
  }
}

/** The stored form of mappings: sorted, each once. */
function parseMappings(
  given: readonly GroupMappingInput[],
): { readonly mappings: readonly GroupMapping[] } | Fault {
  const mappings = new Map<string, GroupMapping>()
  for (const [index, input] of given.entries()) {
    const mapping = toMapping(input)
    if (mapping === undefined) {
      const detail = 'must be a distinguished name, such as CN=Developers,DC=example,DC=com, or a common name'
      return { fault: { field: `mappings.${index}.directory`, detail } }
    }
    mappings.set(`${mapping.source} ${mapping.name}`, mapping)
  }
  return {
    mappings: [...mappings]
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([, mapping]) => mapping),
  }
}
