import { isRepositoryName } from '@registry-manager/oci'

/**
 * The repository names that an entry of docker_auth's ACL matches. `parts` are path components, undefined for one with
 * a wildcard; `open` names have at least one more component. Names that are `unknown` may match anything.
 */
export interface Names {
  readonly text: string
  readonly kind: 'every' | 'parts' | 'unknown'
  readonly parts: readonly (string | undefined)[]
  readonly open: boolean
  /** The pattern here that matches exactly these names; undefined if there is none. */
  readonly pattern: string | undefined
}

/** Regular expressions that match every name. */
const EVERYTHING = new Set(['/.+/', '/.*/', '/^.+$/', '/^.*$/'])

export function isEverything(pattern: string | undefined): boolean {
  return pattern === undefined || EVERYTHING.has(pattern)
}

/** Whether a pattern of docker_auth is a regular expression. Source: docker_auth, authz/acl.go, `matchString`. */
export function isRegularExpression(pattern: string): boolean {
  return pattern.length > 2 && pattern.startsWith('/') && pattern.endsWith('/')
}

/**
 * Reads a pattern of names for one account. A `*` matches within one path component only. With `anyDepth`, `team/*`
 * means all repositories below `team`, as it does here.
 * Source: docker_auth, authz/acl.go; Go, path.Match.
 */
export function readNames(given: string | undefined, account: string, anyDepth: boolean): Names {
  const text = given?.replaceAll('${account}', account) ?? ''
  if (isEverything(given)) return { text, kind: 'every', parts: [], open: false, pattern: '*' }
  const isUnknown = isRegularExpression(text) || text.includes('${') || /[\\[\]]/.test(text)
  if (isUnknown) return { text, kind: 'unknown', parts: [], open: false, pattern: undefined }
  const components = text.split('/')
  const parts = components.map((part) => (/[*?]/.test(part) ? undefined : part))
  if (!parts.includes(undefined)) {
    return { text, kind: 'parts', parts, open: false, pattern: isRepositoryName(text) ? text : undefined }
  }
  const prefix = parts.slice(0, -1)
  const isBelow = prefix.length > 0 && !prefix.includes(undefined) && components.at(-1) === '*'
  if (!isBelow || !anyDepth) return { text, kind: 'parts', parts, open: false, pattern: undefined }
  const isValid = isRepositoryName(prefix.join('/'))
  return { text, kind: 'parts', parts: prefix, open: true, pattern: isValid ? text : undefined }
}

/** Whether both may match the same name. */
export function mayOverlap(one: Names, other: Names): boolean {
  if (one.kind !== 'parts' || other.kind !== 'parts') return true
  const isLongEnough = (short: Names, long: Names) =>
    short.open ? long.open || long.parts.length > short.parts.length : true
  if (!isLongEnough(one, other) || !isLongEnough(other, one)) return false
  if (!one.open && !other.open && one.parts.length !== other.parts.length) return false
  const common = Math.min(one.parts.length, other.parts.length)
  return one.parts
    .slice(0, common)
    .every((part, index) => part === undefined || (other.parts[index] ?? part) === part)
}

/** Whether one certainly matches every name that the other matches. */
export function covers(one: Names, other: Names): boolean {
  return one.kind === 'every' || (one.kind === 'parts' && other.kind === 'parts' && one.text === other.text)
}
