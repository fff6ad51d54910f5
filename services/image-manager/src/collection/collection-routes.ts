import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { ManagementApiOptions } from '../management-api/management-api.ts'
import { managementApi } from '../management-api/management-api.ts'
import { onlyClusterAdministrators } from '../management-api/only-cluster-administrators.ts'
import { COLLECTION_SCHEMAS as SCHEMAS } from './collection-schemas.ts'
import type { CollectionStatus, ManageCollection } from './manage-collection.ts'

export interface CollectionRoutesOptions extends ManagementApiOptions {
  readonly manageCollection: ManageCollection
}

/** The garbage collection, for operators. */
export const collectionRoutes: FastifyPluginAsyncTypebox<CollectionRoutesOptions> = async (app, options) => {
  const { manageCollection } = options
  await managementApi(app, options)
  app.addHook('onRequest', onlyClusterAdministrators)

  app.get('/storage/collection', { schema: SCHEMAS.getStatus }, async () =>
    toBody(await manageCollection.findStatus()),
  )

  app.put('/storage/collection', { schema: SCHEMAS.putSettings }, async ({ body }) =>
    toBody(await manageCollection.setSettings(body)),
  )

  app.get('/storage/collection/unknown', { schema: SCHEMAS.listUnknown }, async ({ query }) => {
    const { items, next } = await manageCollection.listUnknown(query)
    return { items: items.map((blob) => ({ ...blob, modifiedAt: blob.modifiedAt.toISOString() })), next }
  })
}

function toBody({ listing, removed, failing, ...status }: CollectionStatus) {
  return {
    ...status,
    reviewedAt: toIsoString(status.reviewedAt),
    oldestCondemned: toIsoString(status.oldestCondemned),
    removed: { ...removed, lastAt: toIsoString(removed.lastAt) },
    failing: [...failing],
    listing: listing && {
      ...listing,
      beganAt: listing.beganAt.toISOString(),
      endedAt: listing.endedAt.toISOString(),
    },
  }
}

function toIsoString(time: Date | null): string | null {
  return time === null ? null : time.toISOString()
}
