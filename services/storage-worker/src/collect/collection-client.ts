import type { ServiceClient } from '@registry-manager/http'
import { ServiceCallError, undefinedIfNotFound } from '@registry-manager/http'
import { COLLECTION_BATCH, ClaimResponse, ListingResponse, NoContent } from '@registry-manager/principal'
import type { Listings } from './list-storage.ts'
import type { Claims } from './remove-claimed.ts'

const BASE = '/internal/collection'

/** image-manager's internal API of the collection. `worker` names this process in its records. */
export function createCollectionClient(client: ServiceClient, worker: string): Claims & Listings {
  const pages = (id: string) => `${BASE}/listings/${encodeURIComponent(id)}/pages`
  return {
    async claim() {
      // 404: the previous version of image-manager.
      const response = await undefinedIfNotFound(
        client.post(`${BASE}/claims`, { worker, limit: COLLECTION_BATCH }, ClaimResponse),
      )
      if (response === undefined || response.id === null || response.digests.length === 0) return undefined
      return { ...response, id: response.id }
    },

    async report(id, results) {
      try {
        await client.post(`${BASE}/claims/${encodeURIComponent(id)}/results`, results, NoContent)
        return 'accepted'
      } catch (error) {
        if (error instanceof ServiceCallError && isRefusal(error.status)) return 'refused'
        throw error
      }
    },

    async begin() {
      const response = await undefinedIfNotFound(client.post(`${BASE}/listings`, { worker }, ListingResponse))
      return response?.id ?? undefined
    },

    async sendBlobs(id, blobs) {
      const sent = blobs.map(({ modifiedAt, ...blob }) => ({ ...blob, modifiedAt: modifiedAt.toISOString() }))
      await client.post(pages(id), { blobs: sent }, NoContent)
    },

    async sendLinks(id, links) {
      await client.post(pages(id), { links }, NoContent)
    },

    async end(id, uploads) {
      await client.post(`${BASE}/listings/${encodeURIComponent(id)}/end`, { uploads }, NoContent)
    },
  }
}

/** A status that a repeated request would get again. */
function isRefusal(status: number | undefined): boolean {
  return status !== undefined && status >= 400 && status < 500 && status !== 429
}
