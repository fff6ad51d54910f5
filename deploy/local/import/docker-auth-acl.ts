import { REPOSITORY_ACTIONS } from '@registry-manager/oci'
import { isIP } from 'node:net'
import type { Import, Terms } from './imported.ts'
import { rightsOf } from './imported.ts'
import type { Names } from './repository-names.ts'
import { covers, isEverything, isRegularExpression, mayOverlap, readNames } from './repository-names.ts'

/** An entry of docker_auth's ACL. Source: docker_auth, authz/acl.go, `ACLEntry`. */
export interface AclEntry {
  /** How reports call the entry, such as `acl entry 3 (line 20)`. */
  readonly title: string
  /** Its conditions by name; undefined if they cannot be read. */
  readonly match: Readonly<Record<string, unknown>> | undefined
  readonly actions: readonly string[]
}

/** The effect of an entry for one account. `certain` is false if only docker_auth can tell whether it matches. */
interface Rule {
  readonly entry: AclEntry
  readonly names: Names
  readonly actions: readonly string[]
  readonly networks: readonly string[] | undefined
  readonly certain: boolean
}

/** The conditions that can be compared here. */
const KNOWN = new Set(['account', 'type', 'name', 'ip'])
/** Values of YAML for an empty condition. docker_auth then takes the condition as absent. */
const NOTHING = new Set(['', '~', 'null', 'Null', 'NULL'])

/**
 * The grants of one account. docker_auth takes the first entry that matches, and here the sum of all grants counts. So
 * an entry gives no action that an earlier entry, which may match the same request, does not give.
 */
export function grantsOf(
  account: string,
  acl: readonly AclEntry[],
  { anyDepth, report }: { readonly anyDepth: boolean; readonly report: Import['report'] },
): Terms[] {
  const rules = acl.flatMap((entry) => readRule(entry, account, { anyDepth, report }) ?? [])
  return rules.flatMap((rule, index) => {
    const { entry, names, networks } = rule
    if (!rule.certain) return []
    const earlier = rules.slice(0, index)
    const isUnreachable = earlier.some(
      (one) => one.certain && one.networks === undefined && covers(one.names, names),
    )
    if (isUnreachable || rule.actions.length === 0) return []
    if (names.pattern === undefined) {
      report(`${entry.title} is not imported: ${whyNoPattern(names)}`)
      return []
    }
    const actions = earlier
      .filter((one) => mayOverlap(one.names, names))
      .reduce((left, one) => left.filter((action) => one.actions.includes(action)), rule.actions)
    const rights = rightsOf(actions)
    if (actions.length < rule.actions.length) {
      report(
        `${entry.title} gives ${account} ${actions.join(', ') || 'nothing'} instead of ${rule.actions.join(', ')}: ` +
          'an earlier entry can match the same request and gives fewer actions, but in registry-manager grants add up',
      )
    }
    if (actions.includes('push') && !actions.includes('pull')) {
      report(`${entry.title} gives no push without pull: in registry-manager push includes pull`)
    }
    if (rights === undefined) return []
    return {
      repositories: names.pattern,
      ...rights,
      ...(networks && { conditions: { networks: [...networks] } }),
    }
  })
}

/** Undefined if the entry never matches the account. */
function readRule(
  entry: AclEntry,
  account: string,
  { anyDepth, report }: { readonly anyDepth: boolean; readonly report: Import['report'] },
): Rule | undefined {
  const match = entry.match ?? {}
  const text = (name: string) => {
    const value = match[name]
    return typeof value === 'string' ? value : undefined
  }
  const [ofAccount, type] = [text('account'), text('type')]
  const isOtherType =
    type !== undefined && type !== 'repository' && /^[a-z]+$/.test(type) && !NOTHING.has(type)
  const isMine =
    NOTHING.has(ofAccount ?? '-') && ofAccount !== '' ? 'unknown' : matchesAccount(ofAccount, account)
  if (isOtherType || isMine === false) return undefined
  const names = readNames(text('name'), account, anyDepth)
  const actions = readActions(entry.actions)
  const uncertain = { entry, names, actions, networks: undefined, certain: false }
  const leaveOut = (why: string) => report(`${entry.title} is not imported: ${why}`)
  const unknown = Object.keys(match).find((name) => !KNOWN.has(name))
  if (unknown !== undefined) {
    leaveOut(`its condition ${unknown} has no equivalent in registry-manager`)
    return uncertain
  }
  const isUnreadable = ([name, value]: [string, unknown]) =>
    typeof value !== 'string' || (name !== 'account' && NOTHING.has(value))
  if (entry.match === undefined || Object.entries(match).some(isUnreadable)) {
    leaveOut('its match is not an object of conditions with values')
    return { ...uncertain, names: readNames(undefined, account, anyDepth) }
  }
  if (isMine === 'unknown') {
    leaveOut(`its account ${ofAccount} is a pattern, but grants name users and groups`)
    return uncertain
  }
  if (type !== undefined && type !== 'repository' && type !== '*' && !isEverything(type)) {
    leaveOut(`its type ${type} is a pattern`)
    return uncertain
  }
  const ip = text('ip')
  if (ip === undefined) return { ...uncertain, certain: true }
  if (isIP(ip.split('/', 1)[0] ?? '') === 0) {
    leaveOut(`its ip ${ip} is neither an address nor a network`)
    return uncertain
  }
  return { ...uncertain, networks: [ip], certain: true }
}

function matchesAccount(pattern: string | undefined, account: string): boolean | 'unknown' {
  if (isEverything(pattern) || pattern === '*' || pattern === '${account}') return true
  if (pattern === undefined || isRegularExpression(pattern) || /[*?[\]\\]|\$\{/.test(pattern))
    return 'unknown'
  return pattern === account
}

/** The one action `*` means all of them. */
function readActions(actions: readonly string[]): readonly string[] {
  if (actions.length === 1 && actions[0] === '*') return REPOSITORY_ACTIONS
  return REPOSITORY_ACTIONS.filter((action) => actions.includes(action))
}

function whyNoPattern({ text, kind, parts }: Names): string {
  if (kind === 'unknown')
    return `its name ${text} is a regular expression or has a placeholder or character class`
  const isOneLevel = text.endsWith('/*') && !parts.slice(0, -1).includes(undefined)
  if (isOneLevel) {
    return (
      `${text} matches one path component in docker_auth, but all repositories below it in registry-manager. To accept this, ` +
      'run the import with --any-depth'
    )
  }
  return parts.includes(undefined)
    ? `no pattern of registry-manager matches the same names as ${text}`
    : `${text} is no valid repository name`
}
