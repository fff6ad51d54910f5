import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { ManagementApiOptions } from '../management-api/management-api.ts'
import { managementApi } from '../management-api/management-api.ts'
import { onlyClusterAdministrators } from '../management-api/only-cluster-administrators.ts'
import { COLLECTION_SCHEMAS as SCHEMAS } from './collection-schemas.ts'
import type { CollectionOptions, StoredStatus } from './status.ts'
import { stateOf } from './status.ts'

export interface CollectionRoutesOptions extends ManagementApiOptions {
  readonly collectionStatus: {
    findStatus(): Promise<StoredStatus>
    listUnknown(
      after: string,
      limit: number,
    ): Promise<readonly { readonly digest: string; readonly bytes: number; readonly modifiedAt: Date }[]>
    setSettings(settings: { readonly paused: boolean; readonly blobsPerSecond: number | null }): Promise<void>
  }
  readonly collection: CollectionOptions
}

/** The garbage collection, for operators. */
export const collectionRoutes: FastifyPluginAsyncTypebox<CollectionRoutesOptions> = async (app, options) => {
  const { collectionStatus, collection } = options
  await managementApi(app, options)
  app.addHook('onRequest', onlyClusterAdministrators)

  const respond = async () => {
    const { isReconciled, listing, removed, failing, ...status } = await collectionStatus.findStatus()
    return {
      state: stateOf({ ...status, isReconciled }, collection),
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

  app.get('/storage/collection', { schema: SCHEMAS.getStatus }, respond)

  app.put('/storage/collection', { schema: SCHEMAS.putSettings }, async ({ body }) => {
    await collectionStatus.setSettings({ paused: false, blobsPerSecond: null, ...body })
    return respond()
  })

  app.get('/storage/collection/unknown', { schema: SCHEMAS.listUnknown }, async ({ query }) => {
    const { limit = 100, after = '' } = query
    const blobs = await collectionStatus.listUnknown(after, limit)
    return {
      items: blobs.map((blob) => ({ ...blob, modifiedAt: blob.modifiedAt.toISOString() })),
      next: blobs.length < limit ? null : (blobs.at(-1)?.digest ?? null),
    }
  })
}

function toIsoString(time: Date | null): string | null {
  return time === null ? null : time.toISOString()
}
