import { BASIC_OR_BEARER, PRINCIPAL_KINDS, problemResponses } from '@registry-manager/http'
import { DIGEST_PATTERN, MAX_NAME_LENGTH, REPOSITORY_NAME_PATTERN, TAG_PATTERN } from '@registry-manager/oci'
import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'

/* The schemas of the history of tags, for validation, responses and OpenAPI. */

const digest = (description: string) =>
  Type.String({
    pattern: DIGEST_PATTERN,
    'x-rule': 'must be a digest such as sha256:…',
    description,
  })
const Time = Type.Unsafe<Date>({ type: 'string', format: 'date-time' })
const By = Type.Union([
  Type.Object({ kind: Type.Enum([...PRINCIPAL_KINDS]), name: Type.Union([Type.String(), Type.Null()]) }),
  Type.Null(),
])

const Params = Type.Object({
  repository: Type.String({
    maxLength: MAX_NAME_LENGTH,
    pattern: REPOSITORY_NAME_PATTERN,
    'x-rule': 'must be a repository name; %2F stands for a slash',
    description: 'The name of the repository, with `%2F` for a slash.',
    examples: ['team/app'],
  }),
  tag: Type.String({
    pattern: TAG_PATTERN,
    'x-rule': 'must be a tag of 1 to 128 letters, digits or . _ -, such as v1',
    examples: ['1.0'],
  }),
})

const Period = Type.Object({
  digest: Type.String({ description: 'The manifest that the tag pointed to.' }),
  previous: Type.Union([Type.String(), Type.Null()], {
    description:
      'The manifest that the tag pointed to before. Null if the tag is new, or if that manifest is unknown.',
  }),
  startedAt: Time,
  startedBy: By,
  endedAt: Type.Union([Time, Type.Null()], { description: 'Null while the tag points to the manifest.' }),
  endedBy: By,
  restorable: Type.Boolean({ description: 'Whether the repository still has the manifest.' }),
})

const COMMON = { tags: ['history'], security: BASIC_OR_BEARER, params: Params } satisfies FastifySchema

export const HISTORY_SCHEMAS = {
  history: {
    ...COMMON,
    operationId: 'getTagHistory',
    summary: 'List the history of a tag',
    description:
      'The manifests that the tag has pointed to, the newest first. `startedBy` and `endedBy` are shown only to users who ' +
      'may push the tag, and only with a password or an identity token. Otherwise, and if the principal is not ' +
      'known, they are null.',
    querystring: Type.Object({
      limit: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 200,
          description: 'The length of a page; 50 by default.',
          examples: [50],
        }),
      ),
      after: Type.Optional(
        Type.String({
          pattern: '^[0-9]{1,18}$',
          'x-rule': 'must be the value of next in a previous page',
          description: '`next` of the previous page.',
          examples: ['9999999'],
        }),
      ),
    }),
    response: {
      200: Type.Object({
        items: Type.Array(Period),
        next: Type.Union([Type.String(), Type.Null()], {
          description: 'The value of `after` for the next page; null on the last page.',
        }),
      }),
      ...problemResponses(400, 401, 403, 404, 429, 503),
    },
  },
  restore: {
    ...COMMON,
    operationId: 'restoreTag',
    summary: 'Restore a tag to a manifest of its history',
    description:
      'Needs the right to push the tag, and a password or an identity token. The repository must still have the ' +
      'manifest and what it references. Rules for pushes apply, such as those for immutable tags.',
    body: Type.Object(
      {
        at: Type.Optional(
          Type.String({
            format: 'date-time',
            maxLength: 64,
            description: 'Restores the manifest that the tag pointed to at this time.',
          }),
        ),
        digest: Type.Optional(digest('Restores this manifest, which must be in the history of the tag.')),
      },
      {
        additionalProperties: false,
        description: 'Either `at` or `digest`.',
        examples: [{ at: '2100-01-01T00:00:00Z' }],
      },
    ),
    response: {
      200: Type.Object({
        tag: Type.String(),
        digest: Type.String({ description: 'The manifest that the tag points to now.' }),
      }),
      ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503),
    },
  },
}
