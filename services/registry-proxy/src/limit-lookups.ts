import { ServiceCallError } from '@registry-manager/http'
import { createByteBudget } from '@registry-manager/http'
import type { IndexClient } from './index-client.ts'

/**
 * How many manifests are fetched from image-manager at a time. One of 4 MiB comes as JSON, and takes about 16
 * MiB while it is read. The others wait, for most lookups take milliseconds: they find nothing.
 */
const LIMITS = { total: 8, perAccount: 8, waiting: 2000, waitingPerAccount: 2000, waitMs: 30_000 }

/** Bounds the memory of manifests that are fetched at once. Throws ServiceCallError for those that cannot wait. */
export function limitLookups(index: IndexClient): IndexClient {
  const slots = createByteBudget(LIMITS)
  return {
    ...index,
    async findManifest(repository, reference) {
      const release = await slots.take('all', 1)
      if (release === undefined) {
        const message = 'too many manifests are looked up at once'
        throw new ServiceCallError(message, { dependency: 'image-manager' })
      }
      try {
        return await index.findManifest(repository, reference)
      } finally {
        release()
      }
    },
  }
}
