import {
  parseConditions,
  planTerms,
  planTrustRule,
  toMapping,
} from '@registry-manager/auth-service/management'
import { isPatternWithin } from '@registry-manager/oci'
import { toPath } from './access-file.ts'
import type { GroupEntry, NamespaceEntry, TokenEntry } from './access-file.ts'
import type { EntryFault } from './find-schema-faults.ts'
import { grantKey } from './grant-text.ts'

/** The namespace of grants for the whole installation. */
const INSTALLATION = '*'

/** Finds the faults of an entry that its schema cannot describe: the rules that the management API checks later. */
export function findEntryFaults(section: string, name: string, entry: unknown): EntryFault[] {
  switch (section) {
    case 'groups':
      return groupFaults(entry as GroupEntry)
    case 'registryTokens':
      return conditionFaults(entry as TokenEntry)
    case 'namespaces':
      return [
        ...grantFaults(name, entry as NamespaceEntry),
        ...trustRuleFaults(name, entry as NamespaceEntry),
        ...immutabilityFaults(name, entry as NamespaceEntry),
      ]
    default:
      return []
  }
}

function groupFaults({ mappings = [], members = [] }: GroupEntry): EntryFault[] {
  const badMappings = mappings.flatMap((mapping, index) => {
    if (toMapping(mapping) !== undefined) return []
    const detail = 'must be a distinguished name, such as CN=Developers,DC=example,DC=com, or a common name'
    return [{ path: ['mappings', index], detail: `mappings.${index}.directory ${detail}` }]
  })
  return [
    ...badMappings,
    ...repeated(
      members.map((username) => username.toLowerCase()),
      'members',
    ),
  ]
}

function conditionFaults({ conditions }: TokenEntry): EntryFault[] {
  const parsed = parseConditions(conditions ?? undefined)
  if ('conditions' in parsed) return []
  const { field, detail } = parsed.fault
  return [{ path: toPath(field.split('.')), detail: `${field} ${detail}` }]
}

function grantFaults(namespace: string, { grants = [] }: NamespaceEntry): EntryFault[] {
  const invalid = grants.flatMap((grant, index) => {
    const planned = planTerms(namespace, grant, `grants.${index}.`)
    if ('terms' in planned) return []
    const { field, detail } = planned.fault
    return [{ path: toPath(field.split('.')), detail: `${field} ${detail}` }]
  })
  if (invalid.length > 0) return invalid
  return repeated(
    grants.map((grant) => grantKey(namespace, grant)),
    'grants',
  )
}

function trustRuleFaults(namespace: string, { trustRules = [] }: NamespaceEntry): EntryFault[] {
  if (namespace === INSTALLATION && trustRules.length > 0) {
    const detail = `trustRules belong to a namespace such as team; ${INSTALLATION} has only grants`
    return [{ path: ['trustRules'], detail }]
  }
  const invalid = trustRules.flatMap((rule, index) => {
    // Only the server knows which issuers may have private addresses.
    const origins = new Set(URL.canParse(rule.issuer) ? [new URL(rule.issuer).origin] : [])
    const planned = planTrustRule(namespace, rule, origins)
    if ('plan' in planned) return []
    const field = `trustRules.${index}.${planned.fault.field}`
    return [{ path: toPath(field.split('.')), detail: `${field} ${planned.fault.detail}` }]
  })
  return [
    ...invalid,
    ...repeated(
      trustRules.map(({ name }) => name),
      'trustRules',
    ),
  ]
}

function immutabilityFaults(namespace: string, { immutability = [] }: NamespaceEntry): EntryFault[] {
  if (namespace === INSTALLATION && immutability.length > 0) {
    const detail = `immutability belongs to a namespace such as team; ${INSTALLATION} has only grants`
    return [{ path: ['immutability'], detail }]
  }
  const outside = immutability.flatMap(({ repositories }, index) => {
    if (isPatternWithin(namespace, repositories)) return []
    const field = `immutability.${index}.repositories`
    return [
      {
        path: toPath(field.split('.')),
        detail: `${field} must be in this namespace, such as ${namespace}/*`,
      },
    ]
  })
  const names = immutability.map(({ name }) => name)
  return [...outside, ...repeated(names, 'immutability')]
}

function repeated(keys: readonly string[], list: string): EntryFault[] {
  const firsts = new Map<string, number>()
  return keys.flatMap((key, index) => {
    const first = firsts.get(key)
    if (first === undefined) {
      firsts.set(key, index)
      return []
    }
    return [
      { path: [list, index], detail: `${list}.${index} is in the list twice: it equals ${list}.${first}` },
    ]
  })
}
