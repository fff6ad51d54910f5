import type { Client, Entry } from 'ldapts'
import { ResultCodeError } from 'ldapts'
import type { Attributes } from '../entry-state.ts'
import { STATE_ATTRIBUTES, entryState } from '../entry-state.ts'
import { anyOf, fillFilter, groupsOfFilter } from './filter.ts'
import type { DirectoryLookup, DirectoryEntry } from '../directory.ts'
import { isSameDn, normaliseDn } from '../distinguished-name.ts'
import type { GroupMap } from '../group-map.ts'
import type { DirectoryMetrics } from '../metrics.ts'

export interface DirectorySearchOptions {
  readonly baseDn: string
  /** The filter that finds a user; the default depends on the kind of directory. */
  readonly userFilter: string | undefined
  readonly groups: GroupMap | undefined
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly metrics: DirectoryMetrics
}

export interface DirectorySearch {
  /** Detects the kind of directory, once. */
  detectKind(client: Client): Promise<void>
  /**
   * Finds the entry of a username and its mapped groups. A known distinguished name saves the second search of Active
   * Directory. `alsoFilter` matches further entries that make the name ambiguous. Throws ResultCodeError.
   */
  find(client: Client, username: string, knownDn?: string, alsoFilter?: string): Promise<DirectoryLookup>
}

/** The capability that identifies Active Directory. Source: MS-ADTS §3.1.1.3.4.3 (LDAP_CAP_ACTIVE_DIRECTORY_OID). */
const ACTIVE_DIRECTORY = '1.2.840.113556.1.4.800'
const USER_FILTERS = {
  'active-directory': '(&(objectClass=user)(sAMAccountName={username}))',
  other: '(uid={username})',
}
/** The server's time limit for a search, in seconds. */
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
        // One more than expected: enough to detect an ambiguous name.
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
    async detectKind(client) {
      kind ??= await readKind(client, metrics)
    },

    async find(client, username, knownDn, alsoFilter) {
      const template = options.userFilter ?? USER_FILTERS[kind ?? 'other']
      const user = anyOf([fillFilter(template, username), ...(alsoFilter === undefined ? [] : [alsoFilter])])
      const withGroups = groups !== undefined && kind === 'active-directory' && knownDn !== undefined
      const filters = withGroups ? [user, groupsOfFilter(knownDn, groupDns)] : [user]
      const found = await search(client, anyOf(filters))
      const [match, ...others] = found.filter((candidate) => !isGroup(candidate))
      if (match === undefined) return { outcome: 'gone' }
      if (others.length > 0) return { outcome: 'ambiguous' }
      // The known name may belong to a different user by now, whose groups do not count.
      const known = withGroups && isSameDn(match.dn, knownDn)
      const memberOf = known ? groupsAmong(found) : await groupsOf(client, match)
      return { outcome: 'found', entry: toEntry(match, memberOf, now()) }
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
    // Active Directory returns this attribute even without a bind, so a server that refuses it is a different kind.
    if (!(error instanceof ResultCodeError)) throw error
    metrics.operation('root_dse', 'refused')
    return 'other'
  }
}

function toEntry({ dn, attributes }: Found, groups: readonly string[], now: number): DirectoryEntry {
  return { dn, state: entryState(attributes, now), groups }
}

function toFound({ dn, ...values }: Entry): Found {
  const attributes = Object.entries(values).map(([name, value]): [string, string[]] => [
    name.toLowerCase(),
    [value].flat().map(String),
  ])
  return { dn, attributes: new Map(attributes) }
}
