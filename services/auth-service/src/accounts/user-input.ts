import { MAX_NAME_LENGTH, NAMESPACE_PATTERN } from '@registry-manager/oci'
import { ROLES } from '@registry-manager/principal'
import type { Static, TObject, TProperties } from 'typebox'
import { Type } from 'typebox'
import { BCRYPT_PATTERN } from './bcrypt.ts'

/*
 * The fields of the users API. They are the same in the query, in a form and in JSON.
 */

const USERNAME = /^[a-z0-9][a-z0-9._@-]{0,254}$/

/** Whether a name, which is in lower case, is a valid username. */
export function isUsername(name: string): boolean {
  return USERNAME.test(name)
}

const username = (example?: string) =>
  Type.String({
    pattern: '^[A-Za-z0-9][A-Za-z0-9._@-]{0,254}$',
    'x-rule': 'must be 1 to 255 letters, digits or . _ @ -, and start with a letter or digit',
    description: '1 to 255 letters, digits or `. _ @ -`. Upper case is converted to lower case.',
    ...(example !== undefined && { examples: [example] }),
  })
const password = Type.String({
  format: 'password',
  description: '8 to 1024 bytes, not the username, no control characters.',
})
const flag = (description: string) =>
  Type.Boolean({ 'x-rule': 'must be true or false (or 1 or 0)', description })
const role = Type.Enum([...ROLES], { description: 'Instead of `admin`; `user` by default.' })
const namespace = (description?: string) =>
  Type.String({
    pattern: NAMESPACE_PATTERN,
    maxLength: MAX_NAME_LENGTH,
    'x-rule': 'must be repository path components, such as team or team/app',
    ...(description !== undefined && { description }),
  })
const namespacesText = Type.String({
  description: 'Namespaces, comma-separated, such as `team,other/app`. An empty string clears them.',
})
/** A string is split at its commas before the list is validated. */
const namespaces = Type.Unsafe<string[]>({
  anyOf: [Type.Array(namespace(), { maxItems: 1000 }), namespacesText],
  'x-rule': 'must be at most 1000 namespaces, comma-separated or as a list',
  description: 'Namespaces, comma-separated; in JSON also a list. An empty string or list clears them.',
})

/** An object with these fields and no others. */
const closed = <Fields extends TProperties>(fields: Fields) =>
  Type.Object(fields, { additionalProperties: false })

/** `PATCH /user`. */
export const UserInput = closed({
  username: username(),
  password: Type.Optional(password),
  ad: Type.Optional(flag('Whether the directory verifies the password.')),
  provider: Type.Optional(
    Type.String({
      maxLength: 32,
      description:
        'The id of the OpenID Connect provider at which the user signs in. An empty string makes the user a local one.',
    }),
  ),
  admin: Type.Optional(flag('Whether the user is a cluster administrator.')),
  role: Type.Optional(role),
  enabled: Type.Optional(flag('Whether the user can sign in; `true` by default.')),
  namespaces: Type.Optional(namespaces),
})
export type UserInput = Static<typeof UserInput>

/** `POST /user`. */
export const NewUserInput = closed({
  ...UserInput.properties,
  password_hash: Type.Optional(
    Type.String({
      pattern: BCRYPT_PATTERN,
      'x-rule': 'must be a bcrypt hash ($2a$, $2b$ or $2y$) with a cost of 4 to 12',
      description:
        'Instead of `password`, for users of another system: the bcrypt hash of their password there. The first ' +
        'sign-in replaces it.',
    }),
  ),
})
export type NewUserInput = Static<typeof NewUserInput>

/** `POST /user/password`. */
export const PasswordInput = closed({
  username: Type.Optional(username()),
  password,
  current_password: Type.Optional(
    Type.String({
      format: 'password',
      description: 'The present password. Required if users change their own password with Bearer.',
    }),
  ),
})

/** `POST /user/namespaces`. */
export const NamespacesInput = closed({ username: username(), namespaces })

/** Without a username, the request is about the principal itself. */
export const OptionalUsername = closed({ username: Type.Optional(username('jane')) })
export const RequiredUsername = closed({ username: username('jane') })

/** Schemas of fields that differ in the query: its values are strings, and proxies may log them. */
const IN_QUERY: TProperties = {
  password: Type.String({
    format: 'password',
    deprecated: true,
    description:
      'Clients of seed 002 send passwords here, and this works. Proxies on the way may log URLs: prefer a form or JSON.',
  }),
  current_password: Type.String({
    format: 'password',
    deprecated: true,
    description: 'Prefer a form or JSON.',
  }),
  password_hash: Type.String({
    format: 'password',
    deprecated: true,
    description: 'Prefer a form or JSON.',
  }),
  namespaces: namespacesText,
}

/** The query of a request whose fields can be in the query or in the body: there all of them are optional. */
export function inQuery({ properties }: TObject): TObject {
  const fields = Object.entries(properties).map(([name, schema]) => [
    name,
    Type.Optional(IN_QUERY[name] ?? schema),
  ])
  return closed(Object.fromEntries(fields))
}

/** `GET /users`. */
export const UsersQuery = closed({
  offset: Type.Optional(Type.Integer({ minimum: 0, default: 0 })),
  limit: Type.Optional(
    Type.Integer({ minimum: 1, default: 50, description: 'A limit over 50 counts as 50.' }),
  ),
  search: Type.Optional(
    Type.String({
      maxLength: 255,
      // A Postgres text cannot contain NUL.
      pattern: '^[^\\u0000]*$',
      'x-rule': 'must be at most 255 characters long and must not contain NUL',
      description: 'Only usernames that contain this string; case-insensitive.',
    }),
  ),
  namespace: Type.Optional(namespace('Only users who have exactly this namespace.')),
})
export type UsersQuery = Static<typeof UsersQuery>

const BOOLEANS: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  ...[1, 'true', '1'].map((given) => [given, true] as const),
  ...[0, 'false', '0'].map((given) => [given, false] as const),
])
const toBoolean = (given: unknown) => BOOLEANS.get(toLowerCase(given)) ?? given
const toNumber = (given: unknown) =>
  typeof given === 'string' && /^\d{1,15}$/.test(given) ? Number(given) : given

/** Conversions of fields, by name. */
const CONVERSIONS: Readonly<Record<string, (given: unknown) => unknown>> = {
  username: toLowerCase,
  ad: toBoolean,
  admin: toBoolean,
  enabled: toBoolean,
  namespaces: toList,
  offset: toNumber,
  limit: toNumber,
}

/**
 * Converts a field that the query, a form or JSON gives to the type of its schema: numbers and booleans from strings,
 * namespaces from comma-separated strings, and usernames to lower case. Any other value stays as it is: validation
 * refuses it.
 */
export function convertField(field: string, given: unknown): unknown {
  return Object.hasOwn(CONVERSIONS, field) ? CONVERSIONS[field]?.(given) : given
}

function toLowerCase(given: unknown): unknown {
  return typeof given === 'string' ? given.toLowerCase() : given
}

function toList(given: unknown): unknown {
  const list = typeof given === 'string' ? given.split(',').map((name) => name.trim()) : given
  return Array.isArray(list) && list.length === 1 && list[0] === '' ? [] : list
}
