import { BASIC_OR_BEARER, PRINCIPAL_KINDS, problemResponses } from '@registry-manager/http'
import { MAX_NAME_LENGTH, NAMESPACE_PATTERN } from '@registry-manager/oci'
import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'

/* The schemas of the trash, for validation, responses and OpenAPI. */

const namespace = Type.String({
  maxLength: MAX_NAME_LENGTH,
  pattern: `^\\*$|${NAMESPACE_PATTERN}`,
  'x-rule': 'must be a namespace such as team; %2F stands for a slash; * for all repositories',
  description:
    'A namespace, with `%2F` for a slash; `*` for all repositories, those without a namespace included.',
  examples: ['team'],
})
const id = Type.String({
  pattern: '^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
  'x-rule': 'must be the id of an entry',
  description: 'The id of an entry.',
  examples: ['00000000-0000-4000-8000-000000000000'],
})
const Time = Type.Unsafe<Date>({ type: 'string', format: 'date-time' })

const Entry = Type.Object({
  id: Type.String(),
  kind: Type.Enum(['manifest', 'repository']),
  repository: Type.String({
    description: 'The repository that was deleted, or that the manifest was deleted from.',
  }),
  digest: Type.Union([Type.String(), Type.Null()], {
    description: 'The deleted manifest; null for a repository.',
  }),
  tags: Type.Array(Type.String(), { description: 'The tags that the content had: the first 20 by name.' }),
  deletedAt: Time,
  deletedBy: Type.Union([
    Type.Object({ kind: Type.Enum([...PRINCIPAL_KINDS]), name: Type.Union([Type.String(), Type.Null()]) }),
    Type.Null(),
  ]),
  expiresAt: Time,
})

const COMMON = { tags: ['trash'], security: BASIC_OR_BEARER } satisfies FastifySchema
const MANAGERS =
  'For cluster administrators, administrators of the namespace, and owners of all its repositories, with a password ' +
  'or an identity token. `*` is for cluster administrators.'

export const TRASH_SCHEMAS = {
  list: {
    ...COMMON,
    operationId: 'listTrash',
    summary: 'List the deleted manifests and repositories of a namespace',
    description: `The entry that was deleted last comes first. ${MANAGERS}`,
    params: Type.Object({ namespace }),
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
        items: Type.Array(Entry),
        next: Type.Union([Type.String(), Type.Null()], {
          description: 'The value of `after` for the next page; null on the last page.',
        }),
      }),
      ...problemResponses(400, 401, 403, 429, 503),
    },
  },
  restore: {
    ...COMMON,
    operationId: 'restoreTrash',
    summary: 'Restore a deleted manifest or repository',
    description:
      'Restores the manifests, their referrers, and the tags that do not name another manifest by now. The rules ' +
      `for pushes apply, quotas included. ${MANAGERS}`,
    params: Type.Object({ namespace, id }),
    response: {
      200: Type.Object({
        repository: Type.String(),
        manifests: Type.Integer({ minimum: 0, description: 'Number of restored manifests.' }),
        tags: Type.Array(Type.String(), { description: 'Tags that were restored, at most 100.' }),
        taken: Type.Array(Type.Object({ tag: Type.String(), digest: Type.String(), names: Type.String() }), {
          description:
            'Tags that were not restored, at most 100: `names` is the manifest that the tag names now.',
        }),
        missing: Type.Array(Type.String(), {
          description:
            'Manifests that stay in the trash, because the registry lacks something that they reference, or because they were deleted again during the restore; at most 100.',
        }),
      }),
      ...problemResponses(400, 401, 403, 404, 409, 429, 503),
    },
  },
  purge: {
    ...COMMON,
    operationId: 'purgeTrash',
    summary: 'Delete an entry of the trash',
    description: `It cannot be restored any more. ${MANAGERS}`,
    params: Type.Object({ namespace, id }),
    response: { 204: Type.Null(), ...problemResponses(400, 401, 403, 404, 409, 429, 503) },
  },
}
