import { BASIC_BEARER_OR_SESSION, problemResponses } from '@registry-manager/http'
import {
  MAX_NAME_LENGTH,
  NAMESPACE_PATTERN,
  REPOSITORY_ACTIONS,
  SCOPE_NAME_PATTERN,
} from '@registry-manager/oci'
import { GRANT_ROLES } from '@registry-manager/principal'
import type { Static } from 'typebox'
import { Type } from 'typebox'
import { ConditionsInput } from './conditions.ts'
import { pageOf, pageQuery } from './page.ts'

/*
 * The schemas of namespaces and grants, for validation, responses and OpenAPI.
 */

/** A list of grants is at most this long. */
export const MAX_GRANTS = 10_000

const fields = {
  subject: Type.Object(
    {
      kind: Type.Enum(['user', 'group', 'registry-token']),
      name: Type.String({ minLength: 1, maxLength: 255, examples: ['jane'] }),
    },
    {
      additionalProperties: false,
      description: 'The user, the group or the registry token that gets the rights.',
    },
  ),
  repositories: Type.String({
    pattern: SCOPE_NAME_PATTERN,
    maxLength: MAX_NAME_LENGTH,
    'x-rule':
      'must be a repository such as team/app, a pattern such as team/* for all repositories below team, or * for all',
    description: 'A repository, `team/*` for all repositories below `team`, or `*` for all repositories.',
    examples: ['team/*'],
  }),
  role: Type.Optional(
    Type.Enum([...GRANT_ROLES], {
      description:
        'A reader pulls; a developer also pushes; a maintainer also deletes; an owner also manages the namespace.',
    }),
  ),
  actions: Type.Optional(
    Type.Array(Type.Enum([...REPOSITORY_ACTIONS]), {
      minItems: 1,
      maxItems: REPOSITORY_ACTIONS.length,
      description: 'Instead of `role`. `push` includes `pull`.',
    }),
  ),
  conditions: Type.Optional(ConditionsInput),
}

export const GrantInput = Type.Object(fields, { additionalProperties: false })
export type GrantInput = Static<typeof GrantInput>

const id = Type.String({ format: 'uuid' })
const createdAt = Type.Unsafe<Date>({ type: 'string', format: 'date-time' })
const createdBy = Type.Union([Type.String(), Type.Null()], {
  description: 'The username of the account that made the grant.',
})

export const Grant = Type.Object({ id, ...fields, createdAt, createdBy })

/** The fields that only responses have are ignored, so that a list can be sent back as it was received. */
const GrantsInput = Type.Object(
  {
    items: Type.Array(
      Type.Object(
        {
          ...fields,
          id: Type.Optional(id),
          createdAt: Type.Optional(Type.String({ format: 'date-time' })),
          createdBy: Type.Optional(createdBy),
        },
        { additionalProperties: false },
      ),
      { maxItems: MAX_GRANTS },
    ),
    next: Type.Optional(Type.Null()),
  },
  { additionalProperties: false },
)

const NAMESPACE_RULE =
  'must be repository path components, such as team or team/app, or * for the installation'
const namespaceParam = {
  namespace: Type.String({
    pattern: `^\\*$|${NAMESPACE_PATTERN}`,
    maxLength: MAX_NAME_LENGTH,
    'x-rule': NAMESPACE_RULE,
    description: 'A namespace, with `%2F` for a slash; `*` for grants of the whole installation.',
    examples: ['team'],
  }),
}

const common = { tags: ['access'], security: BASIC_BEARER_OR_SESSION }
const MANAGERS =
  'For cluster administrators, for administrators of the namespace, and for owners of all its repositories; grants of ' +
  '`*` only for cluster administrators.'
const FAULTS = [400, 401, 403, 429, 503] as const
const BODY_FAULTS = [...FAULTS, 413, 415] as const
const example: GrantInput = {
  subject: { kind: 'user', name: 'jane' },
  repositories: 'team/app',
  role: 'developer',
}

export const GRANT_SCHEMAS = {
  namespaces: {
    ...common,
    operationId: 'listNamespaces',
    summary: 'List namespaces',
    description:
      'The namespaces in which the principal has rights. For a cluster administrator all namespaces that a user has, ' +
      'that have grants, or that have repositories.',
    querystring: pageQuery(),
    response: {
      200: pageOf(
        Type.Object({
          name: Type.String(),
          manage: Type.Boolean({ description: 'Whether the principal manages the namespace.' }),
        }),
      ),
      ...problemResponses(...FAULTS),
    },
  },
  list: {
    ...common,
    operationId: 'listGrants',
    summary: 'List the grants of a namespace',
    description: MANAGERS,
    params: Type.Object(namespaceParam),
    querystring: pageQuery(),
    response: { 200: pageOf(Grant), ...problemResponses(...FAULTS) },
  },
  create: {
    ...common,
    operationId: 'createGrant',
    summary: 'Grant rights in a namespace',
    description: `${MANAGERS} 409 if the same grant exists.`,
    params: Type.Object(namespaceParam),
    body: { ...GrantInput, examples: [example] },
    response: {
      201: Type.Object(Grant.properties, {
        headers: { location: { type: 'string', description: 'The path of the grant.' } },
      }),
      ...problemResponses(...BODY_FAULTS, 409),
    },
  },
  replaceAll: {
    ...common,
    operationId: 'replaceGrants',
    summary: 'Replace all grants of a namespace',
    description: `Existing grants in the list keep their ids, and nothing changes for their subjects. ${MANAGERS}`,
    params: Type.Object(namespaceParam),
    body: { ...GrantsInput, examples: [{ items: [example] }] },
    response: {
      200: Type.Object(
        { added: Type.Integer(), removed: Type.Integer(), unchanged: Type.Integer() },
        { description: 'The numbers of grants that were added, removed and left unchanged.' },
      ),
      ...problemResponses(...BODY_FAULTS),
    },
  },
  delete: {
    ...common,
    operationId: 'deleteGrant',
    summary: 'Delete a grant',
    description: MANAGERS,
    params: Type.Object({
      ...namespaceParam,
      grantId: Type.String({ format: 'uuid', examples: ['8e0d3b52-5c1f-4a7e-b6d9-2f4a1c8e7b30'] }),
    }),
    response: {
      204: Type.Null({ description: 'The grant is deleted.' }),
      ...problemResponses(...FAULTS, 404),
    },
  },
}
