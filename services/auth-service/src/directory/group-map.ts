import { isNamespace } from '@registry-manager/oci'
import type { Role } from '../accounts/account.ts'
import { ROLES } from '../accounts/account.ts'
import { isBeneath, normaliseDn } from './distinguished-name.ts'

/** What membership of a group gives. */
export interface GroupGrant {
  /** Null gives no role. */
  readonly role: Role | null
  readonly namespaces: readonly string[]
}

/** Grants by the group's distinguished name, normalised. */
export type GroupMap = ReadonlyMap<string, GroupGrant>

const SHAPE = '{"role":…,"namespaces":[…]}, one of them or both'

/**
 * Parses a group map: JSON, `{"CN=Developers,DC=example,DC=com": {"role": "user", "namespaces": ["team"]}}`. The
 * groups must lie beneath the base that is searched. Answers everything that is wrong with it.
 */
export function parseGroupMap(
  text: string,
  baseDn: string,
): { readonly map: GroupMap } | { readonly faults: readonly string[] } {
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch {
    return { faults: ['is not JSON'] }
  }
  if (!isObject(given) || Object.keys(given).length === 0) {
    return { faults: ['must be a JSON object of groups, with at least one'] }
  }
  const map = new Map<string, GroupGrant>()
  const faults: string[] = []
  for (const [name, value] of Object.entries(given)) {
    const dn = normaliseDn(name)
    const fault = dn === undefined ? 'is no distinguished name' : faultOf(dn, value, map, baseDn)
    if (fault === undefined) map.set(dn ?? '', grantOf(value as Record<string, unknown>))
    else faults.push(`${JSON.stringify(name)} ${fault}`)
  }
  return faults.length > 0 ? { faults } : { map }
}

/** What somebody in these groups (normalised) gets: the highest role, and all of the namespaces. */
export function grantOfGroups(map: GroupMap, groups: readonly string[]): GroupGrant | undefined {
  const grants = groups.flatMap((dn) => map.get(dn) ?? [])
  if (grants.length === 0) return undefined
  const role = ROLES.find((name) => grants.some((grant) => grant.role === name)) ?? null
  return { role, namespaces: [...new Set(grants.flatMap(({ namespaces }) => namespaces))].toSorted() }
}

function faultOf(dn: string, value: unknown, map: GroupMap, baseDn: string): string | undefined {
  if (map.has(dn)) return 'is there twice'
  if (!isBeneath(dn, normaliseDn(baseDn) ?? '')) return `does not lie beneath ${baseDn}`
  if (!isObject(value)) return `must have an object: ${SHAPE}`
  const { role, namespaces, ...others } = value
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) return `has ${JSON.stringify(unknown)}: it may have ${SHAPE}`
  if (role === undefined && namespaces === undefined) return `gives nothing: ${SHAPE}`
  if (role !== undefined && !ROLES.some((name) => name === role)) {
    return `has no role of ${ROLES.join(', ')}`
  }
  if (namespaces === undefined) return undefined
  const good =
    Array.isArray(namespaces) && namespaces.every((name) => typeof name === 'string' && isNamespace(name))
  return good ? undefined : 'must have a list of repository path components as its namespaces'
}

function grantOf({ role, namespaces }: Record<string, unknown>): GroupGrant {
  return { role: (role as Role | undefined) ?? null, namespaces: (namespaces as string[] | undefined) ?? [] }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
