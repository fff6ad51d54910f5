import type { Client, Entry } from 'ldapts'
import { ResultCodeError } from 'ldapts'
import type { Attributes } from '../entry-state.ts'
import { STATE_ATTRIBUTES, entryState } from '../entry-state.ts'
import { anyOf, fillFilter, groupsOfFilter } from './filter.ts'
import type { DirectoryLookup, DirectoryEntry } from '../directory.ts'
import { firstNameOf, isSameDn, normaliseDn } from '../distinguished-name.ts'
import type { DirectoryMetrics } from '../metrics.ts'

export interface DirectorySearchOptions {
  readonly baseDn: string
  /** The filter that finds a user; the default depends on the kind of directory. */
  readonly userFilter: string | undefined
  /** The names of the groups to look for: distinguished names, or the first parts of them. */
  readonly mappedGroups: () => Promise<ReadonlySet<string>>
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
  const { baseDn, mappedGroups, now, metrics } = options
  let kind: keyof typeof USER_FILTERS | undefined

  const search = async (client: Client, filter: string, mapped: ReadonlySet<string>): Promise<Found[]> => {
    try {
      const { searchEntries } = await client.search(baseDn, {
        scope: 'sub',
        filter,
        attributes: [...STATE_ATTRIBUTES, kind === 'other' ? 'memberOf' : 'objectClass'],
        // One more than expected: enough to detect an ambiguous name.
        sizeLimit: mapped.size + 2,
        timeLimit: TIME_LIMIT,
      })
      metrics.operation('search', 'ok')
      return searchEntries.map(toFound)
    } catch (error) {
      metrics.operation('search', error instanceof ResultCodeError ? 'refused' : 'failed')
      throw error
    }
  }
  /** The normalised names of those groups that are mapped, by either of their names. */
  const mappedOf = (dns: readonly string[], mapped: ReadonlySet<string>) =>
    dns.map((dn) => normaliseDn(dn) ?? '').filter((dn) => mapped.has(dn) || mapped.has(firstNameOf(dn)))
  const groupsAmong = (found: readonly Found[], mapped: ReadonlySet<string>) =>
    mappedOf(
      found.filter(isGroup).map(({ dn }) => dn),
      mapped,
    )

  const groupsOf = async (
    client: Client,
    { dn, attributes }: Found,
    mapped: ReadonlySet<string>,
  ): Promise<string[]> => {
    if (mapped.size === 0) return []
    if (kind !== 'active-directory') return mappedOf(attributes.get('memberof') ?? [], mapped)
    return groupsAmong(await search(client, groupsOfFilter(dn, [...mapped]), mapped), mapped)
  }

  return {
    async detectKind(client) {
      kind ??= await readKind(client, metrics)
    },

    async find(client, username, knownDn, alsoFilter) {
      const template = options.userFilter ?? USER_FILTERS[kind ?? 'other']
      const user = anyOf([fillFilter(template, username), ...(alsoFilter === undefined ? [] : [alsoFilter])])
      const mapped = await mappedGroups()
      const withGroups = mapped.size > 0 && kind === 'active-directory' && knownDn !== undefined
      const filters = withGroups ? [user, groupsOfFilter(knownDn, [...mapped])] : [user]
      const found = await search(client, anyOf(filters), mapped)
      const [match, ...others] = found.filter((candidate) => !isGroup(candidate))
      if (match === undefined) return { outcome: 'gone' }
      if (others.length > 0) return { outcome: 'ambiguous' }
      // The known name may belong to a different user by now, whose groups do not count.
      const known = withGroups && isSameDn(match.dn, knownDn)
      const memberOf = known ? groupsAmong(found, mapped) : await groupsOf(client, match, mapped)
      return { outcome: 'found', entry: toEntry(match, memberOf, now()) }
    },
  }
}

/** Only searches of Active Directory return groups besides users. A user may have the common name of a group. */
function isGroup({ attributes }: Found): boolean {
  return attributes.get('objectclass')?.some((name) => name.toLowerCase() === 'group') ?? false
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
