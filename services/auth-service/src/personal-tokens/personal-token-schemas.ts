import { BASIC_BEARER_OR_SESSION, problemResponses } from '@registry-manager/http'
import type { Static } from 'typebox'
import { Type } from 'typebox'
import { ConditionsInput, toConditionsBody } from '../access/conditions.ts'
import type { ManagedPersonalToken } from '../principals/personal-token.ts'
import { PERSONAL_TOKEN_NAME, PERSONAL_TOKEN_NAME_RULE } from '../principals/personal-token.ts'
import { isPast } from '../principals/registry-token.ts'
import { GivenScope, scopeNotes } from '../principals/scope.ts'
import { formatTime } from '../provider-api/provider-format.ts'
import { MAX_PERSONAL_TOKENS } from './manage-personal-tokens.ts'

/*
 * Personal tokens as JSON, and the schemas of the routes that manage them.
 */

const nullable = <Schema extends object>(schema: Schema) => Type.Union([schema, Type.Null()])
const time = (description: string) => Type.String({ format: 'date-time', description })

const NewPersonalTokenBody = Type.Object(
  {
    name: Type.String({
      pattern: PERSONAL_TOKEN_NAME.source,
      'x-rule': PERSONAL_TOKEN_NAME_RULE,
      description: 'Unique among your own, case-insensitively.',
    }),
    expiryDate: Type.Optional(
      nullable(
        Type.String({
          format: 'date-time',
          description:
            'From this second on, the personal token and its access tokens are refused. Null for never.',
        }),
      ),
    ),
    scopes: Type.Optional(
      nullable(
        Type.Array(GivenScope, {
          minItems: 1,
          maxItems: 100,
          'x-rule': 'must be 1 to 100 scopes, or null for all that you may do',
          description: 'The personal token permits only these scopes. Null for all rights of its owner.',
        }),
      ),
    ),
    conditions: Type.Optional(nullable(ConditionsInput)),
  },
  {
    additionalProperties: false,
    examples: [
      {
        name: 'laptop',
        expiryDate: '2036-06-30T00:00:00Z',
        scopes: [{ type: 'repository', name: 'team/*', actions: ['pull', 'push'] }],
        conditions: { notAfter: '2036-06-01T00:00:00Z' },
      },
    ],
  },
)

/** A personal token in responses. */
export const PersonalTokenBody = Type.Object({
  id: Type.String({ format: 'uuid' }),
  name: Type.String(),
  username: Type.String({ description: 'The owner, and the username for `docker login`.' }),
  scopes: nullable(
    Type.Array(Type.Object({ type: Type.String(), name: Type.String(), actions: Type.Array(Type.String()) })),
  ),
  conditions: nullable(ConditionsInput),
  expiryDate: nullable(time('The time at which it expires.')),
  state: Type.Enum(['active', 'expired']),
  createdDate: time('When it was created.'),
  lastUsedDate: nullable(time('When it last signed in; saved every few seconds.')),
  lastUsedAddress: nullable(Type.String({ description: 'The address of its last sign-in.' })),
  notes: Type.Optional(
    Type.Array(Type.String(), { description: 'Warnings about scopes that probably mean something else.' }),
  ),
})

const CreatedBody = Type.Object(
  {
    ...PersonalTokenBody.properties,
    password: Type.String({ format: 'password', description: 'The password for `docker login`.' }),
  },
  {
    description: 'The personal token. Only this response has its password.',
    headers: { location: { type: 'string', description: 'The path of the personal token.' } },
  },
)

const common = { tags: ['personal tokens'], security: BASIC_BEARER_OR_SESSION }
const FAULTS = [400, 401, 403, 429, 503] as const
const One = Type.Object({
  id: Type.String({ format: 'uuid', examples: ['4f1c2d0e-7a35-4f0b-9c51-0b6f4b7d9a10'] }),
})

export const PERSONAL_TOKEN_SCHEMAS = {
  create: {
    ...common,
    operationId: 'createPersonalToken',
    summary: 'Create a personal token',
    description:
      `For yourself; at most ${MAX_PERSONAL_TOKENS}. Its rights shrink with yours. A personal token cannot make, list ` +
      'or delete personal tokens: 403.',
    body: NewPersonalTokenBody,
    response: { 201: CreatedBody, ...problemResponses(...FAULTS, 404, 409, 413, 415) },
  },
  list: {
    ...common,
    operationId: 'listPersonalTokens',
    summary: 'List personal tokens',
    description: 'Your own, sorted by name.',
    querystring: Type.Object({
      username: Type.Optional(
        Type.String({
          maxLength: 255,
          // A Postgres text cannot contain NUL.
          pattern: '^[^\\u0000]+$',
          'x-rule': 'must be 1 to 255 characters long and must not contain NUL',
          description: 'A username: cluster administrators may list the personal tokens of another user.',
        }),
      ),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 50 })),
      after: Type.Optional(
        Type.String({
          pattern: PERSONAL_TOKEN_NAME.source,
          'x-rule': 'must be the value of next in a previous page',
          description: '`next` of the previous page.',
        }),
      ),
    }),
    response: {
      200: Type.Object({
        items: Type.Array(PersonalTokenBody),
        next: Type.Union([Type.String(), Type.Null()], {
          description: 'The value of `after` for the next page; null on the last page.',
        }),
      }),
      ...problemResponses(...FAULTS, 404),
    },
  },
  get: {
    ...common,
    operationId: 'getPersonalToken',
    summary: 'Get a personal token',
    description: 'One of your own; cluster administrators get any.',
    params: One,
    response: { 200: PersonalTokenBody, ...problemResponses(...FAULTS, 404) },
  },
  delete: {
    ...common,
    operationId: 'deletePersonalToken',
    summary: 'Delete a personal token',
    description:
      'One of your own; cluster administrators delete any. The personal token and its access tokens stop working ' +
      'within 5 seconds.',
    params: One,
    response: {
      204: Type.Null({ description: 'The personal token is deleted.' }),
      ...problemResponses(...FAULTS, 404),
    },
  },
}

/** A personal token as the API shows it, without its password. */
export function personalTokenBody(
  personalToken: ManagedPersonalToken,
  nowMs: number,
): Static<typeof PersonalTokenBody> {
  const { id, name, owner, scopes, conditions, expiresAt, createdAt, lastUsed } = personalToken
  const notes = scopeNotes(scopes ?? [])
  return {
    id,
    name,
    username: owner.username,
    scopes: scopes && scopes.map(({ type, name, actions }) => ({ type, name, actions: [...actions] })),
    conditions: toConditionsBody(conditions) ?? null,
    expiryDate: expiresAt && formatTime(expiresAt),
    state: isPast(expiresAt, nowMs) ? 'expired' : 'active',
    createdDate: formatTime(createdAt),
    lastUsedDate: lastUsed ? formatTime(lastUsed.at) : null,
    lastUsedAddress: lastUsed?.address ?? null,
    ...(notes.length > 0 && { notes }),
  }
}
