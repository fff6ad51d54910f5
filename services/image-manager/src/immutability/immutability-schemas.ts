import { BASIC_OR_BEARER, problemResponses } from '@registry-manager/http'
import {
  MAX_NAME_LENGTH,
  NAMESPACE_PATTERN,
  SCOPE_NAME_PATTERN,
  TAG_GLOB_PATTERN,
} from '@registry-manager/oci'
import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'

/* The schemas of immutable tags, for validation, responses and OpenAPI. */

/** Every push reads the rules, so their number is limited. */
const MAX_RULES = 50
const MAX_EXCEPTIONS = 20

const tagPattern = (description: string) =>
  Type.String({
    pattern: TAG_GLOB_PATTERN,
    'x-rule': 'must be 1 to 128 letters, digits or . _ - *, such as v*',
    description,
  })

const Rule = Type.Object(
  {
    name: Type.String({
      pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$',
      'x-rule': 'must be 1 to 64 letters, digits or . _ -, and begin with a letter or digit',
      description: 'Refusals name the rule. Unique in the namespace.',
    }),
    repositories: Type.String({
      maxLength: MAX_NAME_LENGTH,
      pattern: SCOPE_NAME_PATTERN,
      'x-rule': 'must be a repository name, or a path with /* at its end',
      description: 'A repository of the namespace, or `PATH/*` for all repositories below a path.',
    }),
    tags: tagPattern('The tags that are immutable; `*` stands for any characters.'),
    except: Type.Optional(
      Type.Array(tagPattern('Tags that may move.'), {
        maxItems: MAX_EXCEPTIONS,
        description: 'Patterns of tags that the rule does not apply to.',
      }),
    ),
  },
  { additionalProperties: false },
)

const Rules = Type.Object(
  { rules: Type.Array(Rule, { maxItems: MAX_RULES, description: 'All rules of the namespace.' }) },
  {
    additionalProperties: false,
    examples: [
      { rules: [{ name: 'releases', repositories: 'team/*', tags: '*', except: ['latest', 'dev-*'] }] },
    ],
  },
)

const Params = Type.Object({
  namespace: Type.String({
    maxLength: MAX_NAME_LENGTH,
    pattern: NAMESPACE_PATTERN,
    'x-rule': 'must be a namespace such as team; %2F stands for a slash',
    description: 'A namespace, with `%2F` for a slash.',
    examples: ['team'],
  }),
})

const COMMON = {
  tags: ['immutable tags'],
  security: BASIC_OR_BEARER,
  description:
    'For cluster administrators, for administrators of the namespace, and for owners of all its repositories. An ' +
    'immutable tag cannot be moved to another manifest, and neither the tag nor what it needs can be deleted.',
  params: Params,
} satisfies FastifySchema

export const IMMUTABILITY_SCHEMAS = {
  get: {
    ...COMMON,
    operationId: 'getImmutability',
    summary: 'Get the rules for immutable tags',
    response: { 200: Rules, ...problemResponses(400, 401, 403, 429, 503) },
  },
  put: {
    ...COMMON,
    operationId: 'putImmutability',
    summary: 'Replace the rules for immutable tags',
    body: Rules,
    response: { 200: Rules, ...problemResponses(400, 401, 403, 413, 415, 429, 503) },
  },
}
