import { BASIC_OR_BEARER, problemResponses } from '@registry-manager/http'
import { DIGEST_PATTERN, MAX_NAME_LENGTH, REPOSITORY_NAME_PATTERN, TAG_PATTERN } from '@registry-manager/oci'
import type { FastifySchema } from 'fastify'
import type { TSchema } from 'typebox'
import { Type } from 'typebox'

/* The schemas of the lists of tags and manifests, for validation, responses and OpenAPI. */

const nullable = <Schema extends TSchema>(schema: Schema, description: string) =>
  Type.Union([schema, Type.Null()], { description })
const Time = Type.Unsafe<Date>({ type: 'string', format: 'date-time' })

const COUNTED = {
  pulls: Type.Integer({ description: 'Number of pulls by clients; a lower bound.' }),
  lastPulledAt: nullable(Time, 'When it was last pulled; null if no pull was counted.'),
}

const Tag = Type.Object({
  name: Type.String(),
  digest: Type.String({ description: 'The manifest that the tag points to.' }),
  pushedAt: Type.Unsafe<Date>({ ...Time, description: 'When the tag was last pushed.' }),
  ...COUNTED,
})

const Manifest = Type.Object({
  digest: Type.String(),
  mediaType: Type.String(),
  artifactType: nullable(Type.String(), 'Its artifact type, if it has one.'),
  subject: nullable(Type.String(), 'The manifest that it refers to, such as the image of a signature.'),
  size: Type.Integer({ description: 'Bytes of the manifest itself.' }),
  tags: Type.Array(Type.String(), { description: 'The tags that name it.' }),
  pushedAt: Time,
  ...COUNTED,
})

const queryWith = (pattern: string, rule: string, example: string) =>
  Type.Object({
    repository: Type.String({
      maxLength: MAX_NAME_LENGTH,
      pattern: REPOSITORY_NAME_PATTERN,
      'x-rule': 'must be a repository name',
      examples: ['team/app'],
    }),
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
        pattern,
        'x-rule': rule,
        description: '`next` of the previous page.',
        examples: [example],
      }),
    ),
  })

const pageOf = <Item extends TSchema>(item: Item) =>
  Type.Object({
    items: Type.Array(item),
    next: nullable(Type.String(), 'The value of `after` for the next page; null on the last page.'),
  })

const COMMON = {
  tags: ['pulls'],
  security: BASIC_OR_BEARER,
  description:
    'For everyone who may pull from the repository. A pull is a GET of a manifest, by a tag or by its digest. A pull by ' +
    'a tag counts for the tag and for the manifest. A pull by digest counts for the manifest only.',
} satisfies FastifySchema

const errors = problemResponses(400, 401, 403, 404, 429, 503)

export const LISTS_SCHEMAS = {
  tags: {
    ...COMMON,
    operationId: 'listTags',
    summary: 'List the tags of a repository, with their pulls',
    querystring: queryWith(TAG_PATTERN, 'must be a tag', '1.0'),
    response: { 200: pageOf(Tag), ...errors },
  },
  manifests: {
    ...COMMON,
    operationId: 'listManifests',
    summary: 'List the manifests of a repository, with their pulls',
    querystring: queryWith(DIGEST_PATTERN, 'must be a digest', `sha256:${'0'.repeat(64)}`),
    response: { 200: pageOf(Manifest), ...errors },
  },
}
