import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ArtifactsContents, RepositoriesContents, UsageResponse } from '@registry-manager/principal'
import { ProblemError } from '@registry-manager/http'
import { Type } from 'typebox'
import type { ListContents } from './list-contents.ts'
import type { StorageUsage } from './storage-usage.ts'

export interface ContentsRoutesOptions {
  readonly listContents: ListContents
  readonly storageUsage: (onError: (error: unknown) => void) => Promise<StorageUsage>
}

const WholeNumber = Type.Integer({ minimum: 0 })
const PageQuery = { offset: WholeNumber, limit: WholeNumber, orderBy: Type.String() }
const RepositoriesQuery = Type.Object({
  ...PageQuery,
  search: Type.Optional(Type.String()),
  name: Type.Optional(Type.String()),
})
const ArtifactsQuery = Type.Object({
  ...PageQuery,
  repository: Type.Optional(Type.String()),
  digest: Type.Optional(Type.String()),
})

/** The registry's contents for auth-service, which serves them to administrators in the provider's format. */
export const contentsRoutes: FastifyPluginAsyncTypebox<ContentsRoutesOptions> = async (
  app,
  { listContents, storageUsage },
) => {
  app.get(
    '/internal/contents/repositories',
    { schema: { querystring: RepositoriesQuery, response: { 200: RepositoriesContents } } },
    async ({ query }) => {
      const { items, total } = await listContents.repositories(query)
      const repositories = items.map(({ createdAt, pushedAt, lastPulledAt, ...same }) => ({
        ...same,
        createdAt: createdAt.toISOString(),
        pushedAt: pushedAt.toISOString(),
        lastPulledAt: lastPulledAt?.toISOString() ?? null,
      }))
      return { repositories, total }
    },
  )

  app.get(
    '/internal/contents/artifacts',
    { schema: { querystring: ArtifactsQuery, response: { 200: ArtifactsContents } } },
    async ({ query }) => {
      const page = await listContents.artifacts(query)
      if (page === undefined)
        throw new ProblemError({ status: 404, detail: `the index has no repository ${query.repository}` })
      const artifacts = page.items.map(({ tags, pushedAt, lastPulledAt, ...same }) => ({
        ...same,
        tags: [...tags],
        pushedAt: pushedAt.toISOString(),
        lastPulledAt: lastPulledAt?.toISOString() ?? null,
      }))
      return { artifacts, total: page.total }
    },
  )

  app.get('/internal/contents/usage', { schema: { response: { 200: UsageResponse } } }, (request) =>
    storageUsage((err) =>
      request.log.warn({ err }, 'could not compute the storage usage; the previous value stays in use'),
    ),
  )
}
