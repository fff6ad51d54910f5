import { BASIC_BEARER_OR_SESSION, problemResponses } from '@registry-manager/http'
import { MAX_NAME_LENGTH, REPOSITORY_ACTIONS, REPOSITORY_NAME_PATTERN } from '@registry-manager/oci'
import { GRANT_ROLES } from '@registry-manager/principal'
import { Type } from 'typebox'
import { ConditionsInput } from './conditions.ts'
import { GrantInput } from './grant-schemas.ts'
import { pageOf, pageQuery } from './page.ts'

/*
 * The schemas of explanations, for validation, responses and OpenAPI.
 */

const action = Type.Enum([...REPOSITORY_ACTIONS], { examples: ['push'] })
const repository = Type.String({
  pattern: REPOSITORY_NAME_PATTERN,
  maxLength: MAX_NAME_LENGTH,
  'x-rule': 'must be a repository name, such as team/app',
  examples: ['team/app'],
})
const address = Type.Optional(
  Type.String({
    maxLength: 64,
    description: "The client's IP address, for conditions.",
    examples: ['10.1.2.3'],
  }),
)
const question = {
  account: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      description: 'The username, or the name of a registry token; by default the principal itself.',
      examples: ['jane'],
    }),
  ),
  token: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      description:
        'Explains this personal token of the account (its name or id). Without `account`: one of your own or, for ' +
        'managers of the namespace, a registry token.',
    }),
  ),
  rule: Type.Optional(
    Type.String({ format: 'uuid', description: 'The id of a trust rule, instead of `account`.' }),
  ),
  repository,
  action,
  address,
  tag: Type.Optional(
    Type.String({ minLength: 1, maxLength: 128, description: 'The tag of a push.', examples: ['v1'] }),
  ),
  generation: Type.Optional(
    Type.Integer({ minimum: 0, description: 'The claim `gen` of an access token that was refused.' }),
  ),
}

const account = Type.Object({ kind: Type.Enum(['user', 'registry-token', 'workload']), name: Type.String() })
const Reason = Type.Object(
  {
    kind: Type.Enum([
      'grant',
      'group',
      'namespace',
      'role',
      'global',
      'scope',
      'condition',
      'account',
      'generation',
    ]),
    id: Type.Optional(
      Type.String({ description: 'The id of the grant; `with` stands for the grant that the request adds.' }),
    ),
    name: Type.Optional(Type.String({ description: 'The name of the group that has the grant.' })),
    namespace: Type.Optional(Type.String({ description: 'All actions are permitted in it.' })),
    repositories: Type.Optional(Type.String({ description: 'The pattern of a grant or a scope.' })),
    role: Type.Optional(Type.Enum([...GRANT_ROLES, 'cluster-administrator'])),
    actions: Type.Optional(Type.Array(Type.Enum([...REPOSITORY_ACTIONS]))),
    conditions: Type.Optional(ConditionsInput),
    condition: Type.Optional(
      Type.Enum(['networks', 'notBefore', 'notAfter', 'tags'], {
        description: 'The condition that does not hold.',
      }),
    ),
    detail: Type.Optional(Type.String({ description: 'A text that describes the condition.' })),
    grant: Type.Optional(
      Type.String({ description: 'The id of the grant that has the condition; absent if the token has it.' }),
    ),
    state: Type.Optional(Type.Enum(['disabled', 'expired'])),
    token: Type.Optional(Type.Integer({ description: 'The generation of the access token.' })),
    account: Type.Optional(Type.Integer({ description: 'The lowest valid generation.' })),
  },
  {
    description:
      'A fact that led to the decision, or that was considered. `kind` says which of the other fields are present.',
  },
)
const allowed = Type.Boolean()
const because = Type.Array(Reason)
const Explanation = Type.Object({
  account,
  token: Type.Optional(
    Type.Object(
      { id: Type.String(), name: Type.String() },
      { description: 'The personal token of the request.' },
    ),
  ),
  repository: Type.String(),
  action: Type.Enum([...REPOSITORY_ACTIONS]),
  allowed,
  because,
  missing: Type.Union([Type.String(), Type.Null()], {
    description: 'The missing right, and the people who can grant it; null if the action is allowed.',
  }),
})

const { subject: _subject, ...terms } = GrantInput.properties
const common = { tags: ['access'], security: BASIC_BEARER_OR_SESSION }
const MANAGERS = 'managers of the namespace of the repository'
const FAULTS = [400, 401, 403, 429, 503] as const

export const EXPLAIN_SCHEMAS = {
  explain: {
    ...common,
    operationId: 'explainAccess',
    summary: 'Explain the rights of an account',
    description: `For every user about their own account, and for ${MANAGERS} about every account.`,
    querystring: Type.Object(question, { additionalProperties: false }),
    response: { 200: Explanation, ...problemResponses(...FAULTS, 404) },
  },
  whatIf: {
    ...common,
    operationId: 'explainChangedAccess',
    summary: 'Explain the rights of an account with other grants',
    description:
      'Like the GET request, but with an additional grant or without an existing one. Changes nothing.',
    body: Type.Object(
      {
        ...question,
        with: Type.Optional(
          Type.Object(terms, {
            additionalProperties: false,
            description: 'An additional grant for the account.',
          }),
        ),
        without: Type.Optional(Type.String({ format: 'uuid', description: 'The id of a grant to ignore.' })),
      },
      {
        additionalProperties: false,
        examples: [
          { repository: 'team/app', action: 'push', with: { repositories: 'team/app', role: 'developer' } },
        ],
      },
    ),
    response: { 200: Explanation, ...problemResponses(...FAULTS, 404, 413, 415) },
  },
  who: {
    ...common,
    operationId: 'listWhoMay',
    summary: 'List the accounts that may perform an action',
    description:
      `For ${MANAGERS}. Users and registry tokens by name, then workloads. Entries that may do the action only under ` +
      'a condition that does not hold have `allowed: false`. A page can be shorter than `limit` although another ' +
      'follows.',
    querystring: Type.Object(
      { ...pageQuery().properties, repository, action, address },
      { additionalProperties: false },
    ),
    response: {
      200: Type.Object({
        ...pageOf(Type.Object({ account, allowed, because })).properties,
        global: Type.Boolean({ description: 'Whether every signed-in user may pull the repository.' }),
      }),
      ...problemResponses(...FAULTS),
    },
  },
}
