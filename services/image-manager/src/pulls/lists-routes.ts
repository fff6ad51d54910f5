import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { ManagementApiOptions } from '../management-api/management-api.ts'
import { managementApi } from '../management-api/management-api.ts'
import type { Repository } from '../index/repository.ts'
import { requireReadable } from '../management-api/require-readable.ts'
import type { ListImages } from './list-images.ts'
import { LISTS_SCHEMAS as SCHEMAS } from './lists-schemas.ts'

export interface ListsRoutesOptions extends ManagementApiOptions {
  readonly findRepository: (name: string) => Promise<Repository | undefined>
  readonly listImages: ListImages
}

const BASE = '/image-manager/api/v1'
const DEFAULT_PAGE = 100

/** Lists of the tags and manifests of a repository, with their numbers of pulls. */
export const listsRoutes: FastifyPluginAsyncTypebox<ListsRoutesOptions> = async (app, options) => {
  const { findRepository, listImages } = options
  await managementApi(app, options)

  app.get(`${BASE}/tags`, { schema: SCHEMAS.tags }, async (request) => {
    const { repository, limit = DEFAULT_PAGE, after = '' } = request.query
    const { id } = await requireReadable(findRepository, request, repository)
    const { items, next } = await listImages.tags(id, { limit, after })
    return { items: [...items], next }
  })

  app.get(`${BASE}/manifests`, { schema: SCHEMAS.manifests }, async (request) => {
    const { repository, limit = DEFAULT_PAGE, after = '' } = request.query
    const { id } = await requireReadable(findRepository, request, repository)
    const { items, next } = await listImages.manifests(id, { limit, after })
    return { items: items.map(({ tags, ...manifest }) => ({ ...manifest, tags: [...tags] })), next }
  })
}
