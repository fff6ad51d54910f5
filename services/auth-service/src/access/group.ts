import { escapeDnValue, firstNameOf, normaliseDn } from '../directory/distinguished-name.ts'

/** The source of members that administrators added here. */
export const LOCAL = 'local'
/** The source of members whom the LDAP directory names. */
export const DIRECTORY = 'directory'

/** The source of members whom an identity provider names. */
function providerSource(provider: string): string {
  return `provider:${provider}`
}

/** A group of another source whose members are members of a group here. */
export interface GroupMapping {
  readonly source: string
  /** In the form in which names are compared. */
  readonly name: string
}

export interface Group {
  readonly id: string
  readonly name: string
  readonly mappings: readonly GroupMapping[]
  readonly createdAt: Date
}

export interface GroupMember {
  readonly username: string
  /** The sources of the membership: `local`, `directory`, or `provider:NAME`. */
  readonly sources: string[]
}

/** A mapping as management APIs take and show it. */
export type GroupMappingInput =
  | { readonly directory: string }
  | { readonly provider: string; readonly group: string }

/**
 * The stored form of a mapping. A group of the directory is named by its distinguished name, or by its common name.
 * Undefined for an invalid distinguished name.
 */
export function toMapping(given: GroupMappingInput): GroupMapping | undefined {
  if ('provider' in given) return { source: providerSource(given.provider), name: given.group }
  const name = directoryGroupName(given.directory)
  return name === undefined ? undefined : { source: DIRECTORY, name }
}

export function toMappingInput({ source, name }: GroupMapping): GroupMappingInput {
  if (source === DIRECTORY) return { directory: name }
  return { provider: source.slice(providerSource('').length), group: name }
}

/** A distinguished name in normal form; of a common name `cn=` and the name. Undefined for an invalid one. */
function directoryGroupName(text: string): string | undefined {
  return normaliseDn(text.includes('=') ? text : `cn=${escapeDnValue(text)}`)
}

/** The names by which mappings may name groups of the directory, given their normalised distinguished names. */
export function directoryGroupNames(dns: readonly string[]): string[] {
  return dns.flatMap((dn) => [dn, firstNameOf(dn)])
}
