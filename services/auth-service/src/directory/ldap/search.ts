import type { Client, Entry } from 'ldapts'
import { ResultCodeError } from 'ldapts'
import type { Attributes } from '../account-state.ts'
import { STATE_ATTRIBUTES, accountState } from '../account-state.ts'
import { anyOf, fillFilter, groupsOfFilter } from './filter.ts'
import type { Looked, Person } from '../directory.ts'
import { isSameDn, normaliseDn } from '../distinguished-name.ts'
import type { GroupMap } from '../group-map.ts'
import type { DirectoryMetrics } from '../metrics.ts'

export interface DirectorySearchOptions {
  readonly baseDn: string
  /** What finds a user; by the kind of directory when absent. */
  readonly userFilter: string | undefined
  readonly groups: GroupMap | undefined
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly metrics: DirectoryMetrics
}

export interface DirectorySearch {
  /** Finds out once what kind of directory it is. */
  learnKind(client: Client): Promise<void>
  /**
   * Finds whom a name means, and which of the mapped groups they are in, in one search where their distinguished
   * name is known already. `alsoFilter` matches whoever else could be meant. Throws ResultCodeError.
   */
  look(client: Client, username: string, knownDn?: string, alsoFilter?: string): Promise<Looked>
}

/** Names of its kind. Source: MS-ADTS §3.1.1.3.4.3 (LDAP_CAP_ACTIVE_DIRECTORY_OID). */
const ACTIVE_DIRECTORY = '1.2.840.113556.1.4.800'
const USER_FILTERS = {
  'active-directory': '(&(objectClass=user)(sAMAccountName={username}))',
  other: '(uid={username})',
}
/** Seconds that the server may take. */
const TIME_LIMIT = 3

interface Found {
  readonly dn: string
  readonly attributes: Attributes
}

export function createDirectorySearch(options: DirectorySearchOptions): DirectorySearch {
  const { baseDn, groups, now, metrics } = options
  const groupDns = [...(groups?.keys() ?? [])]
  let kind: keyof typeof USER_FILTERS | undefined

  const search = async (client: Client, filter: string): Promise<Found[]> => {
    try {
      const { searchEntries } = await client.search(baseDn, {
        scope: 'sub',
        filter,
        attributes: [...STATE_ATTRIBUTES, ...(kind === 'other' && groups ? ['memberOf'] : [])],
        // One more than there should be tells that there are too many.
        sizeLimit: groupDns.length + 2,
        timeLimit: TIME_LIMIT,
      })
      metrics.operation('search', 'ok')
      return searchEntries.map(toFound)
    } catch (error) {
      metrics.operation('search', error instanceof ResultCodeError ? 'refused' : 'failed')
      throw error
    }
  }
  const isGroup = ({ dn }: Found) => groups?.has(normaliseDn(dn) ?? '') ?? false
  const groupsAmong = (found: readonly Found[]) =>
    found.filter(isGroup).map(({ dn }) => normaliseDn(dn) ?? '')

  const groupsOf = async (client: Client, { dn, attributes }: Found): Promise<string[]> => {
    if (groups === undefined) return []
    if (kind === 'active-directory') return groupsAmong(await search(client, groupsOfFilter(dn, groupDns)))
    const memberOf = (attributes.get('memberof') ?? []).map((name) => normaliseDn(name) ?? '')
    return memberOf.filter((name) => groups.has(name))
  }

  return {
    async learnKind(client) {
      kind ??= await readKind(client, metrics)
    },

    async look(client, username, knownDn, alsoFilter) {
      const template = options.userFilter ?? USER_FILTERS[kind ?? 'other']
      const user = anyOf([fillFilter(template, username), ...(alsoFilter === undefined ? [] : [alsoFilter])])
      const withGroups = groups !== undefined && kind === 'active-directory' && knownDn !== undefined
      const filters = withGroups ? [user, groupsOfFilter(knownDn, groupDns)] : [user]
      const found = await search(client, anyOf(filters))
      const [person, ...more] = found.filter((entry) => !isGroup(entry))
      if (person === undefined) return { outcome: 'gone' }
      if (more.length > 0) return { outcome: 'ambiguous' }
      // Whoever has the name that was known, it may be somebody else by now: theirs are not this one's groups.
      const known = withGroups && isSameDn(person.dn, knownDn)
      const memberOf = known ? groupsAmong(found) : await groupsOf(client, person)
      return { outcome: 'found', person: toPerson(person, memberOf, now()) }
    },
  }
}

async function readKind(client: Client, metrics: DirectoryMetrics): Promise<keyof typeof USER_FILTERS> {
  try {
    const { searchEntries } = await client.search('', {
      scope: 'base',
      attributes: ['supportedCapabilities'],
    })
    metrics.operation('root_dse', 'ok')
    const capabilities = searchEntries.map(toFound)[0]?.attributes.get('supportedcapabilities') ?? []
    return capabilities.includes(ACTIVE_DIRECTORY) ? 'active-directory' : 'other'
  } catch (error) {
    // Active Directory shows this to everybody; who does not is something else.
    if (!(error instanceof ResultCodeError)) throw error
    metrics.operation('root_dse', 'refused')
    return 'other'
  }
}

function toPerson({ dn, attributes }: Found, groups: readonly string[], now: number): Person {
  return { dn, state: accountState(attributes, now), groups }
}

function toFound({ dn, ...values }: Entry): Found {
  const attributes = Object.entries(values).map(([name, value]): [string, string[]] => [
    name.toLowerCase(),
    [value].flat().map(String),
  ])
  return { dn, attributes: new Map(attributes) }
}
