import type { FieldFault } from '@registry-manager/http'
import { isNamespace } from '@registry-manager/oci'
import type { Role } from '@registry-manager/principal'
import { ROLES } from '@registry-manager/principal'

/** The fields of the users API, parsed. */
export interface UserInput {
  readonly username?: string
  readonly password?: string
  /** Proves the present password when users change their own. */
  readonly current_password?: string
  readonly ad?: boolean
  readonly admin?: boolean
  readonly role?: Role
  readonly enabled?: boolean
  readonly namespaces?: readonly string[]
  readonly offset?: number
  readonly limit?: number
  readonly search?: string
  readonly namespace?: string
}

export type UserField = keyof UserInput

export type ParsedUserInput = { readonly input: UserInput } | { readonly fault: FieldFault }

/** A field's value, or why it is invalid. */
type Parsed<Value> = { readonly value: Value } | { readonly detail: string }

const USERNAME = /^[a-z0-9][a-z0-9._@-]{0,254}$/
const BOOLEANS: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  ...[true, 1, 'true', '1'].map((text) => [text, true] as const),
  ...[false, 0, 'false', '0'].map((text) => [text, false] as const),
])

/** Whether a name, which is in lower case, is a valid username. */
export function isUsername(name: string): boolean {
  return USERNAME.test(name)
}

const PARSERS: { readonly [Field in UserField]-?: (given: unknown) => Parsed<UserInput[Field]> } = {
  username: (given) => {
    const username = typeof given === 'string' ? given.toLowerCase() : ''
    return isUsername(username)
      ? { value: username }
      : { detail: 'must be 1 to 255 letters, digits or . _ @ -, and start with a letter or digit' }
  },
  password: (given) =>
    typeof given === 'string' ? { value: given } : { detail: 'must be a string of 8 to 1024 bytes' },
  current_password: (given) =>
    typeof given === 'string' ? { value: given } : { detail: 'must be a string' },
  ad: parseBoolean,
  admin: parseBoolean,
  enabled: parseBoolean,
  role: (given) => {
    const role = ROLES.find((name) => name === given)
    return role === undefined ? { detail: `must be one of ${ROLES.join(', ')}` } : { value: role }
  },
  namespaces: parseNamespaces,
  offset: (given) => parseWholeNumber(given, 0),
  limit: (given) => parseWholeNumber(given, 1),
  search: (given) =>
    // A Postgres text cannot contain NUL.
    typeof given === 'string' && given.length <= 255 && !given.includes('\0')
      ? { value: given }
      : { detail: 'must be at most 255 characters long and must not contain NUL' },
  namespace: (given) =>
    typeof given === 'string' && isNamespace(given)
      ? { value: given }
      : { detail: 'must be repository path components, such as team or team/app' },
}

/**
 * Parses the fields of a request. `sources` are the name and value pairs of the query and of the body. Returns the
 * first fault: an unknown field, a field that is given twice, or an invalid value.
 */
export function parseUserInput(
  sources: readonly Iterable<readonly [string, unknown]>[],
  allowed: readonly UserField[],
): ParsedUserInput {
  const input: Record<string, unknown> = {}
  for (const [field, given] of sources.flatMap((source) => [...source])) {
    const known = allowed.find((name) => name === field)
    if (known === undefined) {
      return {
        fault: {
          field,
          detail: `is not a field of this request; the fields are ${allowed.join(', ') || 'none'}`,
        },
      }
    }
    if (Object.hasOwn(input, field)) return { fault: { field, detail: 'is given twice' } }
    const parsed = PARSERS[known](given)
    if ('detail' in parsed) return { fault: { field, detail: parsed.detail } }
    input[field] = parsed.value
  }
  return { input: input as UserInput }
}

function parseBoolean(given: unknown): Parsed<boolean> {
  const value = BOOLEANS.get(typeof given === 'string' ? given.toLowerCase() : given)
  return value === undefined ? { detail: 'must be true or false (or 1 or 0)' } : { value }
}

/** Comma-separated text, or an array in JSON. An empty text is an empty list. */
function parseNamespaces(given: unknown): Parsed<string[]> {
  const list = typeof given === 'string' ? given.split(',').map((name) => name.trim()) : given
  const names = Array.isArray(list) && list.length === 1 && list[0] === '' ? [] : list
  const fault = {
    detail: 'must be repository path components (such as team or team/app), separated by commas',
  }
  if (!Array.isArray(names) || names.length > 1000) return fault
  const bad = names.find((name) => typeof name !== 'string' || !isNamespace(name))
  if (bad !== undefined)
    return { detail: `${fault.detail}; ${JSON.stringify(bad)} cannot contain a repository` }
  return { value: [...new Set(names as string[])].toSorted() }
}

function parseWholeNumber(given: unknown, least: number): Parsed<number> {
  const value = typeof given === 'string' && /^\d{1,15}$/.test(given) ? Number(given) : given
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= least
    ? { value }
    : { detail: `must be a whole number of ${least} or more` }
}
