import { BASIC_OR_BEARER, problemResponses } from '@registry-manager/http'
import {
  MAX_NAME_LENGTH,
  NAMESPACE_PATTERN,
  SCOPE_NAME_PATTERN,
  TAG_GLOB_PATTERN,
} from '@registry-manager/oci'
import type { FastifySchema } from 'fastify'
import type { TSchema } from 'typebox'
import { Type } from 'typebox'
import { DRY_RUN_POSITION_PATTERN } from './dry-run-position.ts'

/* The schemas of retention, for validation, responses and OpenAPI. */

const MAX_RULES = 50
const MAX_EXCEPTIONS = 20
/** Compiling a longer regular expression could take too long. */
const MAX_PATTERN_LENGTH = 128

const closed = { additionalProperties: false }
const nullable = <Schema extends TSchema>(schema: Schema, description: string) =>
  Type.Union([schema, Type.Null()], { description })
const tagPattern = (description: string) =>
  Type.String({
    pattern: TAG_GLOB_PATTERN,
    'x-rule': 'must be 1 to 128 letters, digits or . _ - *, such as v*',
    description,
  })
const days = (description: string) =>
  Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 36_500, description }))
const pattern = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: MAX_PATTERN_LENGTH, description }))

const Keep = Type.Object(
  {
    last: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1000,
        description: 'Keeps this number of tags in each repository: those with the latest pushes.',
      }),
    ),
    pushedWithinDays: days('Keeps tags that were pushed within this time.'),
    pulledWithinDays: days('Keeps tags that were pulled, or whose manifest was pulled, within this time.'),
    semver: pattern('Keeps tags that are complete versions in a range of node-semver, such as `>=1.0.0`.'),
    matching: pattern('Keeps tags whose whole name matches this regular expression (RE2).'),
  },
  { ...closed, description: 'The conditions that keep a tag. A tag is kept if one of them holds.' },
)

const Rule = Type.Object(
  {
    name: Type.String({
      pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$',
      'x-rule': 'must be 1 to 64 letters, digits or . _ -, and begin with a letter or digit',
      description: 'Dry runs name the rule. Unique in the namespace.',
    }),
    repositories: Type.String({
      maxLength: MAX_NAME_LENGTH,
      pattern: SCOPE_NAME_PATTERN,
      'x-rule': 'must be a repository name, or a path with /* at its end',
      description: 'A repository of the namespace, or `PATH/*` for all repositories below a path.',
    }),
    tags: Type.Optional(tagPattern('The tags that the rule covers; `*` stands for any characters.')),
    except: Type.Optional(
      Type.Array(tagPattern('Tags that the rule does not cover.'), { maxItems: MAX_EXCEPTIONS }),
    ),
    keep: Type.Optional(Keep),
    untaggedAfterDays: days('Deletes manifests that had no tag and were not pushed or pulled for this time.'),
  },
  closed,
)

const Rules = Type.Object(
  { rules: Type.Array(Rule, { maxItems: MAX_RULES, description: 'All rules of the namespace.' }) },
  {
    ...closed,
    examples: [
      {
        rules: [
          {
            name: 'builds',
            repositories: 'team/*',
            tags: '*',
            except: ['latest'],
            keep: { last: 10, pulledWithinDays: 30, semver: '>=1.0.0' },
            untaggedAfterDays: 7,
          },
        ],
      },
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

const Item = Type.Object({
  repository: Type.String(),
  tag: nullable(Type.String(), 'Null for a manifest without a tag.'),
  digest: Type.String(),
  outcome: Type.Enum(['kept', 'deleted', 'uncovered']),
  reason: nullable(
    Type.Enum([
      'immutable',
      'last',
      'pushedWithinDays',
      'pulledWithinDays',
      'semver',
      'matching',
      'untaggedAfterDays',
      'index',
      'subject',
    ]),
    'The reason why it is kept: a field of a rule, a rule for immutable tags, an image index that lists it, or its subject.',
  ),
  rule: nullable(Type.String(), 'The rule that keeps or deletes it.'),
  namespace: nullable(Type.String(), 'The namespace of the rule.'),
  by: nullable(Type.String(), 'The image index, or the subject.'),
})

const count = (description: string) => Type.Integer({ description })
const Time = Type.Unsafe<Date>({ type: 'string', format: 'date-time' })
const Run = Type.Object({
  id: Type.String(),
  startedAt: Time,
  finishedAt: nullable(Time, 'Null while the run is in progress.'),
  repositories: count('The number of completed repositories of the namespace.'),
  tags: count('Tags of the namespace that were deleted.'),
  manifests: count('Manifests of the namespace that were deleted.'),
  failures: count('Tags and manifests of the namespace that could not be deleted.'),
})

const COMMON = {
  tags: ['retention'],
  security: BASIC_OR_BEARER,
  description:
    'For cluster administrators, for administrators of the namespace, and for owners of all its repositories. A tag is ' +
    'deleted only if a rule covers it and no rule that covers it keeps it.',
  params: Params,
} satisfies FastifySchema

export const RETENTION_SCHEMAS = {
  get: {
    ...COMMON,
    operationId: 'getRetention',
    summary: 'Get the rules of retention',
    response: { 200: Rules, ...problemResponses(400, 401, 403, 429, 503) },
  },
  put: {
    ...COMMON,
    operationId: 'putRetention',
    summary: 'Replace the rules of retention',
    body: Rules,
    response: { 200: Rules, ...problemResponses(400, 401, 403, 413, 415, 429, 503) },
  },
  runs: {
    ...COMMON,
    operationId: 'listRetentionRuns',
    summary: 'List runs of retention',
    description: 'The last 50 runs, the newest first, with their counts of the namespace.',
    response: { 200: Type.Object({ items: Type.Array(Run) }), ...problemResponses(400, 401, 403, 429, 503) },
  },
  dryRun: {
    ...COMMON,
    operationId: 'dryRunRetention',
    summary: 'Show the tags and manifests that retention would delete now',
    description:
      'Deletes nothing. Says for each tag of the namespace, and for each manifest without a tag if a rule is about them, ' +
      'what keeps or deletes it. A page may have fewer items than its limit, or none.',
    querystring: Type.Object({
      limit: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 1000,
          description: 'The length of a page; 100 by default.',
          examples: [100],
        }),
      ),
      after: Type.Optional(
        Type.String({
          maxLength: 400,
          pattern: DRY_RUN_POSITION_PATTERN,
          'x-rule': 'must be the value of next in a previous page',
          description: '`next` of the previous page.',
          examples: ['team/app:1.0'],
        }),
      ),
    }),
    body: Type.Object(
      { rules: Type.Optional(Rules.properties.rules) },
      {
        ...closed,
        description: 'Rules to use instead of the saved rules of the namespace. `{}` uses the saved rules.',
        examples: [{}],
      },
    ),
    response: {
      200: Type.Object({
        items: Type.Array(Item),
        next: nullable(Type.String(), 'The value of `after` for the next page; null on the last page.'),
      }),
      ...problemResponses(400, 401, 403, 413, 415, 429, 503),
    },
  },
}
