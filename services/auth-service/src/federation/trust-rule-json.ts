import { BASIC_BEARER_OR_SESSION, problemResponses } from '@registry-manager/http'
import { NAMESPACE_PATTERN } from '@registry-manager/oci'
import type { Static } from 'typebox'
import { Type } from 'typebox'
import { ConditionsInput, toConditionsBody } from '../access/conditions.ts'
import { GivenScope } from '../principals/scope.ts'
import { MAX_TRUST_RULES } from './manage-trust-rules.ts'
import type { TrustRule } from './trust-rule.ts'

const closed = { additionalProperties: false }
/** Visible characters and spaces: Postgres has no NUL in strings, and logs no line breaks. */
const text = (maxLength: number, description: string) =>
  Type.String({
    minLength: 1,
    maxLength,
    pattern: String.raw`^[^\u0000-\u001f\u007f]*$`,
    'x-rule': `must be 1 to ${maxLength} characters without control characters`,
    description,
  })

const given = {
  name: Type.String({
    pattern: '^[a-z0-9][a-z0-9._-]{0,62}$',
    'x-rule': 'must be 1 to 63 lower-case letters, digits or . _ -, and start with a letter or digit',
    description: 'Unique in the namespace. Events and logs name the rule.',
  }),
  issuer: text(512, '`iss` of the tokens, exactly: a URL, whose OpenID configuration names the public keys.'),
  audience: text(512, '`aud` of the tokens, exactly. Use a value that no other service accepts.'),
  claims: Type.Record(Type.String({ pattern: '^.{1,128}$' }), text(512, 'A value or a pattern.'), {
    minProperties: 1,
    maxProperties: 20,
    description:
      'Patterns of claims, by their names. A token must match all of them. `*` matches any run of characters, also ' +
      '`/`. A claim that is not a string never matches.',
  }),
  scopes: Type.Array(GivenScope, {
    minItems: 1,
    maxItems: 100,
    description: 'The rights of the holder of such a token, within the namespace.',
  }),
  conditions: Type.Optional(Type.Union([ConditionsInput, Type.Null()])),
  jwks: Type.Optional(
    Type.Union(
      [Type.Object({ keys: Type.Array(Type.Object({}, { additionalProperties: true })) }), Type.Null()],
      {
        description:
          "The issuer's public keys (RFC 7517), for an issuer that this installation cannot reach. The issuer is then " +
          'never requested.',
      },
    ),
  ),
}

const EXAMPLE = {
  name: 'github',
  issuer: 'https://token.actions.githubusercontent.com',
  audience: 'registry.example.com',
  claims: { repository: 'acme/app', ref: 'refs/heads/*' },
  scopes: [{ type: 'repository', name: 'team/app', actions: ['push'] }],
}

export const TrustRuleBody = Type.Object({
  id: Type.String({ format: 'uuid' }),
  namespace: Type.String(),
  name: Type.String(),
  issuer: Type.String(),
  audience: Type.String(),
  claims: Type.Record(Type.String(), Type.String()),
  scopes: Type.Array(
    Type.Object({ type: Type.String(), name: Type.String(), actions: Type.Array(Type.String()) }),
  ),
  conditions: Type.Union([ConditionsInput, Type.Null()]),
  jwks: Type.Union([
    Type.Object({ keys: Type.Array(Type.Object({}, { additionalProperties: true })) }),
    Type.Null(),
  ]),
  createdAt: Type.String({ format: 'date-time' }),
  createdBy: Type.String({ description: 'The username of the account that created the rule.' }),
  updatedAt: Type.String({ format: 'date-time' }),
})

const TrustRulesBody = Type.Object({
  items: Type.Array(TrustRuleBody),
  next: Type.Union([Type.String(), Type.Null()], {
    description: 'The value of `after` for the next page; null on the last page.',
  }),
})

export const GivenRule = Type.Object(given, { ...closed, examples: [EXAMPLE] })
const GivenRules = Type.Object(
  { items: Type.Array(Type.Object(given, closed), { maxItems: MAX_TRUST_RULES }) },
  { ...closed, examples: [{ items: [EXAMPLE] }] },
)

const namespace = Type.String({
  pattern: NAMESPACE_PATTERN,
  maxLength: 255,
  'x-rule': 'must be repository path components, such as team or team/app',
  description: 'A namespace; `/` is percent-encoded.',
  examples: ['team'],
})
const ofNamespace = Type.Object({ namespace })
const ofRule = Type.Object({
  namespace,
  id: Type.String({ format: 'uuid', examples: ['c2b7a9e4-1d60-4c38-8f5e-93d2a7c0b611'] }),
})

const common = { tags: ['trust rules'], security: BASIC_BEARER_OR_SESSION }
const FAULTS = [400, 401, 403, 429, 503] as const
const BODY_FAULTS = [...FAULTS, 413, 415] as const

/** The schemas of the trust rules' API. */
export const TRUST_RULE_SCHEMAS = {
  list: {
    ...common,
    operationId: 'listTrustRules',
    summary: 'List the trust rules of a namespace, by name',
    params: ofNamespace,
    querystring: Type.Object(
      {
        limit: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 200,
            description: 'The largest number of rules; 50 by default.',
          }),
        ),
        after: Type.Optional(
          Type.String({ minLength: 1, maxLength: 63, description: '`next` of the previous page.' }),
        ),
      },
      closed,
    ),
    response: { 200: TrustRulesBody, ...problemResponses(...FAULTS) },
  },
  create: {
    ...common,
    operationId: 'createTrustRule',
    summary: 'Create a trust rule',
    description: 'A token of the issuer then gets access: as a password, or by a token exchange (RFC 8693).',
    params: ofNamespace,
    body: GivenRule,
    response: {
      201: Type.Object(TrustRuleBody.properties, {
        headers: { location: { type: 'string', description: 'The path of the trust rule.' } },
      }),
      ...problemResponses(...BODY_FAULTS, 409),
    },
  },
  replaceAll: {
    ...common,
    operationId: 'replaceTrustRules',
    summary: 'Replace all trust rules of a namespace',
    description:
      'A rule whose name exists keeps its id. Rules that do not change keep their access tokens, so the same list can ' +
      'be sent again.',
    params: ofNamespace,
    body: GivenRules,
    response: { 200: TrustRulesBody, ...problemResponses(...BODY_FAULTS, 409) },
  },
  get: {
    ...common,
    operationId: 'getTrustRule',
    summary: 'Get a trust rule',
    params: ofRule,
    response: { 200: TrustRuleBody, ...problemResponses(...FAULTS, 404) },
  },
  replace: {
    ...common,
    operationId: 'replaceTrustRule',
    summary: 'Replace a trust rule',
    description: 'Access tokens that were issued by the rule end, unless nothing changes.',
    params: ofRule,
    body: GivenRule,
    response: { 200: TrustRuleBody, ...problemResponses(...BODY_FAULTS, 404, 409) },
  },
  delete: {
    ...common,
    operationId: 'deleteTrustRule',
    summary: 'Delete a trust rule',
    description: 'Access tokens that were issued by the rule end.',
    params: ofRule,
    response: {
      204: Type.Null({ description: 'The rule was deleted.' }),
      ...problemResponses(...FAULTS, 404),
    },
  },
}

export function trustRuleBody(rule: TrustRule): Static<typeof TrustRuleBody> {
  const { id, namespace, name, issuer, audience, claims, scopes, conditions, jwks } = rule
  return {
    id,
    namespace,
    name,
    issuer,
    audience,
    claims: { ...claims },
    scopes: scopes.map(({ type, name, actions }) => ({ type, name, actions: [...actions] })),
    conditions: toConditionsBody(conditions) ?? null,
    jwks: jwks ?? null,
    createdAt: rule.createdAt.toISOString(),
    createdBy: rule.createdBy,
    updatedAt: rule.updatedAt.toISOString(),
  }
}
