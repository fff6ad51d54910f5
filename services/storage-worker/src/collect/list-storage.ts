import { COLLECTION_BATCH } from '@registry-manager/principal'
import type { RepositoryEntry, StoredBlob } from '../storage/storage.ts'
import type { Log } from './remove-claimed.ts'

/** image-manager, which compares the listing with its index. */
export interface Listings {
  /** The id of a new listing. Undefined if no listing is due, or if another worker makes it. */
  begin(): Promise<string | undefined>
  sendBlobs(id: string, blobs: readonly StoredBlob[]): Promise<void>
  sendLinks(id: string, digests: readonly string[]): Promise<void>
  end(id: string, uploads: Uploads): Promise<void>
}

/** Unfinished uploads. */
export interface Uploads {
  readonly count: number
  readonly bytes: number
}

export interface ListStorageDeps {
  readonly listings: Listings
  readonly listBlobs: (signal: AbortSignal) => AsyncIterable<readonly StoredBlob[]>
  readonly listRepositories: (signal: AbortSignal) => AsyncIterable<readonly RepositoryEntry[]>
  readonly log: Log
  /** Milliseconds of a monotonic clock. */
  readonly monotonic: () => number
}

/** A page is sent at least this often, in milliseconds. It renews the worker's lease on the listing. */
const PAGE_MS = 10_000

/**
 * Lists the storage if a listing is due: blobs first, then links. So if a blob that is uploaded during the listing is
 * listed, its link is listed, too. A listing that fails is never ended, so image-manager does not use it.
 */
export function createListStorage(deps: ListStorageDeps) {
  const { listings, listBlobs, listRepositories, log, monotonic } = deps

  /** Sends entries in pages of at most COLLECTION_BATCH. Returns the number of entries. */
  const sendPages = async <Entry>(
    batches: AsyncIterable<readonly Entry[]>,
    send: (page: readonly Entry[]) => Promise<void>,
  ): Promise<number> => {
    let page: Entry[] = []
    let [count, sentAt] = [0, monotonic()]
    for await (const batch of batches) {
      page.push(...batch)
      count += batch.length
      while (page.length >= COLLECTION_BATCH || monotonic() - sentAt >= PAGE_MS) {
        await send(page.slice(0, COLLECTION_BATCH))
        page = page.slice(COLLECTION_BATCH)
        sentAt = monotonic()
      }
    }
    if (page.length > 0) await send(page)
    return count
  }

  return async (signal: AbortSignal): Promise<'none' | 'complete'> => {
    const id = await listings.begin()
    if (id === undefined) return 'none'
    const start = monotonic()
    let uploads: Uploads = { count: 0, bytes: 0 }
    async function* links() {
      for await (const entries of listRepositories(signal)) {
        const digests: string[] = []
        for (const entry of entries) {
          if (entry.kind === 'link') digests.push(entry.digest)
          else uploads = { count: uploads.count + entry.count, bytes: uploads.bytes + entry.bytes }
        }
        yield digests
      }
    }
    const blobs = await sendPages(listBlobs(signal), (page) => listings.sendBlobs(id, page))
    const linked = await sendPages(links(), (page) => listings.sendLinks(id, page))
    await listings.end(id, uploads)
    const ms = Math.round(monotonic() - start)
    log.info({ listing: id, blobs, links: linked, uploads, ms }, 'listed the storage')
    return 'complete'
  }
}
