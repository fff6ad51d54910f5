import { BASIC_BEARER_OR_SESSION, problemResponses } from '@registry-manager/http'
import { ROLES } from '@registry-manager/principal'
import type { Static, TObject } from 'typebox'
import { Type } from 'typebox'
import {
  NamespacesInput,
  NewUserInput,
  OptionalUsername,
  PasswordInput,
  RequiredUsername,
  UserInput,
  UsersQuery,
  inQuery,
} from './user-input.ts'

/*
 * The schemas of the users API (seed 002), for validation, responses and OpenAPI.
 */

const rights = {
  role: Type.Enum([...ROLES]),
  enabled: Type.Boolean(),
  namespaces: Type.Array(Type.String()),
}

/** A user in responses. */
export const User = Type.Object({
  id: Type.String({ format: 'uuid' }),
  username: Type.String(),
  ad: Type.Boolean({ description: 'Whether the directory verifies the password.' }),
  provider: Type.Optional(
    Type.String({
      description: 'The OpenID Connect provider at which the user signs in; absent for others.',
    }),
  ),
  admin: Type.Boolean({ description: 'Whether the user is a cluster administrator.' }),
  ...rights,
  created_at: Type.Unsafe<Date>({ type: 'string', format: 'date-time' }),
})

/** A user in a list. */
export const ListedUser = Type.Object({
  ...User.properties,
  own: Type.Optional(
    Type.Object(rights, {
      description:
        'The rights that administrators gave a directory user. Absent if the directory does not change them.',
    }),
  ),
})

/** In examples. */
const PLACEHOLDER = 'replace-this-password'

const common = { tags: ['users'], security: BASIC_BEARER_OR_SESSION }
/** A request whose fields can be in the query, in a form or in JSON. */
const anyInput = <Body extends TObject>(body: Body, example: Static<Body>) => ({
  ...common,
  consumes: ['application/json', 'application/x-www-form-urlencoded'],
  querystring: inQuery(body),
  body: { ...body, examples: [example] },
})
const BODY_FAULTS = [400, 401, 403, 413, 415, 429, 503] as const
const FAULTS = [400, 401, 403, 429, 503] as const
const ANY_INPUT = 'The fields may be in the query, in a form or in JSON, each of them once.'

export const USERS_SCHEMAS = {
  find: {
    ...common,
    operationId: 'getUser',
    summary: 'Get a user',
    description: 'Users may get their own account, cluster administrators any account.',
    querystring: OptionalUsername,
    response: { 200: User, ...problemResponses(...FAULTS, 404) },
  },
  create: {
    ...anyInput(NewUserInput, { username: 'jane', password: PLACEHOLDER, namespaces: ['team'] }),
    operationId: 'createUser',
    summary: 'Create a user',
    description:
      'For cluster administrators. `password` or `password_hash` is required unless `ad` is true or `provider` is ' +
      `given; then they are ignored. With \`ad\` the directory must know the username. ${ANY_INPUT}`,
    response: {
      201: Type.Object(User.properties, {
        headers: { location: { type: 'string', description: 'The path of the user.' } },
      }),
      ...problemResponses(...BODY_FAULTS, 409),
    },
  },
  change: {
    ...anyInput(UserInput, { username: 'jane', namespaces: ['team', 'other/app'] }),
    operationId: 'changeUser',
    summary: 'Change a user',
    description: `For cluster administrators. Fields that are not given keep their values. ${ANY_INPUT}`,
    response: { 200: User, ...problemResponses(...BODY_FAULTS, 404, 409) },
  },
  delete: {
    ...common,
    operationId: 'deleteUser',
    summary: 'Delete a user',
    description:
      'For cluster administrators. Images stay. The last cluster administrator cannot be deleted: 409. The username ' +
      'may also be in a form or in JSON.',
    querystring: RequiredUsername,
    response: {
      204: Type.Null({ description: 'The user is deleted.' }),
      ...problemResponses(...BODY_FAULTS, 404, 409),
    },
  },
  list: {
    ...common,
    operationId: 'listUsers',
    summary: 'List users',
    description: 'For cluster administrators. Sorted by username.',
    querystring: UsersQuery,
    response: {
      200: Type.Array(ListedUser, {
        description: 'A page of users.',
        headers: {
          'x-total-count': { type: 'integer', description: 'The number of matching users.' },
          link: { type: 'string', description: 'The next page, with `rel="next"`. Absent on the last page.' },
        },
      }),
      ...problemResponses(...FAULTS),
    },
  },
  changePassword: {
    ...anyInput(PasswordInput, { username: 'jane', password: PLACEHOLDER }),
    operationId: 'changePassword',
    summary: 'Change a password',
    description:
      'Every user may change their own password, cluster administrators any. Ends the sessions and tokens of that ' +
      `user. 409 for a user of the directory or of a provider. ${ANY_INPUT}`,
    response: {
      204: Type.Null({ description: 'The password is changed.' }),
      ...problemResponses(...BODY_FAULTS, 404, 409),
    },
  },
  changeNamespaces: {
    ...anyInput(NamespacesInput, { username: 'jane', namespaces: ['team'] }),
    operationId: 'changeNamespaces',
    summary: 'Replace the namespaces of a user',
    description: `For cluster administrators. ${ANY_INPUT}`,
    response: { 200: User, ...problemResponses(...BODY_FAULTS, 404) },
  },
  endSessions: {
    ...common,
    operationId: 'endSessions',
    summary: 'End the sessions of a user',
    description:
      'Ends the refresh tokens, access tokens and browser sessions of a user. Every user may end their own sessions, ' +
      'cluster administrators any. The username may also be in a form or in JSON.',
    querystring: OptionalUsername,
    response: {
      204: Type.Null({ description: 'The sessions are ended.' }),
      ...problemResponses(...BODY_FAULTS, 404),
    },
  },
}
