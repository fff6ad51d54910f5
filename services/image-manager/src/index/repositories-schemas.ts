import { BASIC_OR_BEARER, problemResponses } from '@registry-manager/http'
import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'

/*
 * The schemas of the image management API. Source: seed 001.
 */

export const LIST_QUERY = Type.Object({
  namespace: Type.Optional(
    Type.String({ description: 'Only repositories of this namespace.', examples: ['team'] }),
  ),
  search: Type.Optional(
    Type.String({ description: 'Only repositories whose name contains this string.', examples: ['app'] }),
  ),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 999_999,
      description: 'The length of a page; more than 1000 counts as 1000. Without it, the list is complete.',
      examples: [100],
    }),
  ),
  last: Type.Optional(
    Type.String({ description: 'The page starts after this repository name.', examples: ['team/a'] }),
  ),
})

const Params = Type.Object({
  '*': Type.String({
    title: 'repository',
    description: 'The name of the repository. Its slashes may be percent-encoded.',
    examples: ['team/app'],
  }),
})

export const ScopeBody = Type.Object(
  {
    scope: Type.Enum(['global', 'namespace'], {
      description: '`global`: every signed-in user may pull. `namespace`: only users of the namespace.',
    }),
    namespace: Type.Optional(Type.String({ description: 'Must agree with the path.' })),
    repo: Type.Optional(Type.String({ description: 'Must agree with the path.' })),
  },
  { additionalProperties: false, examples: [{ scope: 'global' }] },
)

const RepositoryBody = Type.Object(
  {
    name: Type.String(),
    owner: Type.String({ description: "The first component of the repository's name." }),
    scope: Type.Enum(['global', 'namespace']),
    tags: Type.Array(
      Type.Object({
        name: Type.String(),
        manifest: Type.Object(
          {},
          { description: 'The manifest as it was pushed.', additionalProperties: true },
        ),
      }),
    ),
  },
  { description: 'The repository.' },
)
const RepositoriesBody = Type.Object(
  { repositories: Type.Array(RepositoryBody) },
  {
    description: 'The repositories, in byte order of their names.',
    headers: { link: { type: 'string', description: 'The next page, with `rel="next"`, if there is one.' } },
  },
)

const COMMON = { tags: ['repositories'], security: BASIC_OR_BEARER } satisfies FastifySchema
const text = (description: string) => ({
  description,
  content: { 'text/plain': { schema: Type.String() } },
})

export const LIST_SCHEMA = {
  ...COMMON,
  operationId: 'listRepositories',
  summary: 'List repositories',
  description:
    'Lists every repository that the account may see, each with its tags and their manifests. The response is streamed.',
  querystring: LIST_QUERY,
  response: { 200: RepositoriesBody, ...problemResponses(400, 401, 403, 429, 503) },
}

export const GET_SCHEMA = {
  ...COMMON,
  operationId: 'getRepository',
  summary: 'Get a repository',
  params: Params,
  response: { 200: RepositoryBody, ...problemResponses(400, 401, 403, 404, 429, 503) },
}

export const PUT_SCHEMA = {
  ...COMMON,
  operationId: 'setRepositoryScope',
  summary: 'Set the scope of a repository',
  description: 'Every Content-Type is accepted; the body is read as JSON.',
  params: Params,
  body: ScopeBody,
  response: { 200: text('The scope is set: `OK`.'), ...problemResponses(400, 401, 403, 404, 413, 429, 503) },
}

export const DELETE_SCHEMA = {
  ...COMMON,
  operationId: 'deleteRepository',
  summary: 'Delete a repository',
  description:
    'Deletes all images of the repository and their blobs. The deleted content is unreadable at once.',
  params: Params,
  response: {
    200: { type: 'null', description: 'The repository is deleted.' },
    ...problemResponses(400, 401, 403, 404, 429, 503),
  },
}
