import { isNamespace } from '@registry-manager/oci'
import type { Role } from '@registry-manager/principal'
import { ROLES } from '@registry-manager/principal'
import { isBeneath, normaliseDn } from './distinguished-name.ts'

/** The rights that a group gives its members. */
export interface GroupGrant {
  /** Null: the group gives no role. */
  readonly role: Role | null
  readonly namespaces: readonly string[]
}

/** Grants by the group's normalised distinguished name. */
export type GroupMap = ReadonlyMap<string, GroupGrant>

const SHAPE = '{"role":…,"namespaces":[…]} with at least one of the two'

/**
 * Parses a group map: JSON, `{"CN=Developers,DC=example,DC=com": {"role": "user", "namespaces": ["team"]}}`. The
 * groups must be below the search base. Returns all faults.
 */
export function parseGroupMap(
  text: string,
  baseDn: string,
): { readonly map: GroupMap } | { readonly faults: readonly string[] } {
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch {
    return { faults: ['is not valid JSON'] }
  }
  if (!isObject(given) || Object.keys(given).length === 0) {
    return { faults: ['must be a JSON object with at least one group'] }
  }
  const map = new Map<string, GroupGrant>()
  const faults: string[] = []
  for (const [name, value] of Object.entries(given)) {
    const dn = normaliseDn(name)
    const fault = dn === undefined ? 'is not a distinguished name' : faultOf(dn, value, map, baseDn)
    if (fault === undefined) map.set(dn ?? '', grantOf(value as Record<string, unknown>))
    else faults.push(`${JSON.stringify(name)} ${fault}`)
  }
  return faults.length > 0 ? { faults } : { map }
}

/** The rights that groups (by their normalised names) give together: the highest role and all namespaces. */
export function grantOfGroups(map: GroupMap, groups: readonly string[]): GroupGrant | undefined {
  const grants = groups.flatMap((dn) => map.get(dn) ?? [])
  if (grants.length === 0) return undefined
  const role = ROLES.find((name) => grants.some((grant) => grant.role === name)) ?? null
  return { role, namespaces: [...new Set(grants.flatMap(({ namespaces }) => namespaces))].toSorted() }
}

function faultOf(dn: string, value: unknown, map: GroupMap, baseDn: string): string | undefined {
  if (map.has(dn)) return 'occurs twice'
  if (!isBeneath(dn, normaliseDn(baseDn) ?? '')) return `is not below ${baseDn}`
  if (!isObject(value)) return `must have an object as its value: ${SHAPE}`
  const { role, namespaces, ...others } = value
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) return `has the unknown field ${JSON.stringify(unknown)}; allowed is ${SHAPE}`
  if (role === undefined && namespaces === undefined) return `gives nothing; set ${SHAPE}`
  if (role !== undefined && !ROLES.some((name) => name === role)) {
    return `must have one of the roles ${ROLES.join(', ')}`
  }
  if (namespaces === undefined) return undefined
  const good =
    Array.isArray(namespaces) && namespaces.every((name) => typeof name === 'string' && isNamespace(name))
  return good ? undefined : 'must have a list of namespaces, such as ["team", "team/app"]'
}

function grantOf({ role, namespaces }: Record<string, unknown>): GroupGrant {
  return { role: (role as Role | undefined) ?? null, namespaces: (namespaces as string[] | undefined) ?? [] }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
