import { createHash } from 'node:crypto'
import type { CollectionOptions } from './status.ts'

/** A part of a listing of the storage. */
export interface ListingPage {
  readonly blobs: readonly {
    readonly digest: string
    readonly bytes: number
    /** RFC 3339. */
    readonly modifiedAt: string
  }[]
  /** Digests that links of repositories name. */
  readonly links: readonly string[]
}

/** Unfinished uploads in the storage. */
export interface ListingUploads {
  readonly count: number
  readonly bytes: number
}

export interface ListingPorts {
  readonly listings: {
    beginListing(
      worker: string,
      options: { readonly dueSeconds: number; readonly leaseSeconds: number },
    ): Promise<string | undefined>
    addPage(id: string, page: ListingPage & { readonly key: string }, leaseSeconds: number): Promise<boolean>
    countUnnamed(
      id: string,
      after: string,
      options: { readonly limit: number; readonly graceSeconds: number },
    ): Promise<string | undefined>
    endListing(id: string, uploads: ListingUploads): Promise<boolean>
    condemnUnknown(limit: number): Promise<number>
  }
}

export interface Listing {
  begin(worker: string): Promise<string | undefined>
  /** False if there is no such listing any more. */
  addPage(id: string, page: Partial<ListingPage>): Promise<boolean>
  /** False if there is no such listing any more. */
  end(id: string, uploads: ListingUploads): Promise<boolean>
}

/** A worker that sends no page for this long loses its listing, in seconds. */
const LEASE_SECONDS = 60
/** The longest time between two listings, in seconds. A shorter grace period makes it shorter. */
const MAX_DUE_SECONDS = 86_400
const BATCH = 1000

/**
 * Compares the storage with the index. A blob is unknown if no row of the index names it, no link in the storage names
 * it, and it is older than the grace period. With `remove`, the next review condemns blobs that were unknown in two
 * complete listings in a row.
 */
export function createListing(
  { listings }: ListingPorts,
  { intervalSeconds, graceSeconds, unknown }: CollectionOptions,
): Listing {
  const dueSeconds = Math.max(intervalSeconds, Math.min(graceSeconds, MAX_DUE_SECONDS))
  return {
    async begin(worker) {
      if (intervalSeconds === 0) return undefined
      return listings.beginListing(worker, { dueSeconds, leaseSeconds: LEASE_SECONDS })
    },

    addPage(id, { blobs = [], links = [] }) {
      const key = createHash('sha256')
        .update(JSON.stringify([blobs, links]))
        .digest('hex')
      return listings.addPage(id, { key, blobs, links }, LEASE_SECONDS)
    },

    async end(id, uploads) {
      // Renews the lease for the time of the count.
      if (!(await listings.addPage(id, { key: 'end', blobs: [], links: [] }, LEASE_SECONDS))) return false
      let after: string | undefined = ''
      while (after !== undefined)
        after = await listings.countUnnamed(id, after, { limit: BATCH, graceSeconds })
      const isEnded = await listings.endListing(id, uploads)
      if (unknown === 'remove') while ((await listings.condemnUnknown(BATCH)) === BATCH);
      return isEnded
    },
  }
}
