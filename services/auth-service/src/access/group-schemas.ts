import { BASIC_BEARER_OR_SESSION, problemResponses } from '@registry-manager/http'
import { Type } from 'typebox'
import { pageOf, pageQuery } from './page.ts'

/*
 * The schemas of groups and their members, for validation, responses and OpenAPI.
 */

export const MAX_MEMBERS = 10_000
export const MAX_MAPPINGS = 100

const RULE = 'must be 1 to 255 letters, digits or . _ @ -, and start with a letter or digit'
const name = (description: string, example: string) =>
  Type.String({
    pattern: '^[A-Za-z0-9][A-Za-z0-9._@-]{0,254}$',
    'x-rule': RULE,
    description: `${description} Upper case is converted to lower case.`,
    examples: [example],
  })
export const groupName = name('1 to 255 letters, digits or `. _ @ -`.', 'developers')
const username = name('The username.', 'jane')
const text = (description: string, example: string) =>
  Type.String({
    minLength: 1,
    maxLength: 1024,
    pattern: '^[^\\u0000]*$',
    'x-rule': 'must be 1 to 1024 characters without NUL',
    description,
    examples: [example],
  })

const closed = { additionalProperties: false }
/** A group elsewhere whose members become members. */
export const Mapping = Type.Union(
  [
    Type.Object(
      {
        directory: text(
          'A group of the directory: its distinguished name, or its common name, which must then be unique.',
          'CN=Developers,OU=Groups,DC=example,DC=com',
        ),
      },
      closed,
    ),
    Type.Object(
      {
        provider: text('The id of an OpenID Connect provider.', 'corp'),
        group: text("A value of the provider's groups claim.", 'developers'),
      },
      closed,
    ),
  ],
  {
    'x-rule': 'must be {"directory":"…"} or {"provider":"…","group":"…"}',
    description:
      'A group of the directory or of a provider. Its members become members of this group at their next sign-in.',
  },
)
const mappings = Type.Array(Mapping, { maxItems: MAX_MAPPINGS })

export const Group = Type.Object({
  name: Type.String(),
  mappings,
  createdAt: Type.Unsafe<Date>({ type: 'string', format: 'date-time' }),
})
export const Member = Type.Object({
  username: Type.String(),
  sources: Type.Array(Type.String(), {
    description: 'The sources of the membership: `local`, `directory` or `provider:NAME`.',
  }),
})

/** Fields that only responses have are ignored, so that a list can be sent back as it was received. */
const MembersInput = Type.Object(
  {
    items: Type.Array(Type.Object({ username, sources: Type.Optional(Type.Array(Type.String())) }, closed), {
      maxItems: MAX_MEMBERS,
    }),
    next: Type.Optional(Type.Null()),
  },
  closed,
)

const common = { tags: ['access'], security: BASIC_BEARER_OR_SESSION }
const FAULTS = [400, 401, 403, 429, 503] as const
const BODY_FAULTS = [...FAULTS, 413, 415] as const
const ADMINISTRATORS = 'For cluster administrators.'
const params = Type.Object({ group: groupName })
const memberParams = Type.Object({ group: groupName, username })

export const GROUP_SCHEMAS = {
  list: {
    ...common,
    operationId: 'listGroups',
    summary: 'List groups',
    description: ADMINISTRATORS,
    querystring: pageQuery(),
    response: { 200: pageOf(Group), ...problemResponses(...FAULTS) },
  },
  create: {
    ...common,
    operationId: 'createGroup',
    summary: 'Create a group',
    description: ADMINISTRATORS,
    body: {
      ...Type.Object({ name: groupName, mappings: Type.Optional(mappings) }, closed),
      examples: [{ name: 'developers' }],
    },
    response: {
      201: Type.Object(Group.properties, {
        headers: { location: { type: 'string', description: 'The path of the group.' } },
      }),
      ...problemResponses(...BODY_FAULTS, 409),
    },
  },
  get: {
    ...common,
    operationId: 'getGroup',
    summary: 'Get a group',
    description: ADMINISTRATORS,
    params,
    response: { 200: Group, ...problemResponses(...FAULTS, 404) },
  },
  put: {
    ...common,
    operationId: 'putGroup',
    summary: 'Create a group, or replace its mappings',
    description: `${ADMINISTRATORS} Removing a mapping ends the memberships that come from it.`,
    params,
    body: {
      ...Type.Object({ mappings }, closed),
      examples: [{ mappings: [{ directory: 'CN=Developers,OU=Groups,DC=example,DC=com' }] }],
    },
    response: { 200: Group, 201: Group, ...problemResponses(...BODY_FAULTS) },
  },
  delete: {
    ...common,
    operationId: 'deleteGroup',
    summary: 'Delete a group with its grants',
    description: ADMINISTRATORS,
    params,
    response: {
      204: Type.Null({ description: 'The group is deleted.' }),
      ...problemResponses(...FAULTS, 404),
    },
  },
  listMembers: {
    ...common,
    operationId: 'listGroupMembers',
    summary: 'List the members of a group',
    description: ADMINISTRATORS,
    params,
    querystring: pageQuery(),
    response: { 200: pageOf(Member), ...problemResponses(...FAULTS, 404) },
  },
  replaceMembers: {
    ...common,
    operationId: 'replaceGroupMembers',
    summary: 'Replace all local members of a group',
    description: `Members by a mapping stay. ${ADMINISTRATORS}`,
    params,
    body: { ...MembersInput, examples: [{ items: [{ username: 'jane' }] }] },
    response: {
      200: Type.Object(
        { added: Type.Integer(), removed: Type.Integer(), unchanged: Type.Integer() },
        { description: 'The numbers of members that were added, removed and left unchanged.' },
      ),
      ...problemResponses(...BODY_FAULTS, 404),
    },
  },
  addMember: {
    ...common,
    operationId: 'addGroupMember',
    summary: 'Add a user to a group',
    description: ADMINISTRATORS,
    params: memberParams,
    response: {
      204: Type.Null({ description: 'The user is a member.' }),
      ...problemResponses(...FAULTS, 404),
    },
  },
  removeMember: {
    ...common,
    operationId: 'removeGroupMember',
    summary: 'Remove a user from a group',
    description: `A membership by a mapping stays. ${ADMINISTRATORS}`,
    params: memberParams,
    response: {
      204: Type.Null({ description: 'The user is not a local member any more.' }),
      ...problemResponses(...FAULTS, 404),
    },
  },
}
