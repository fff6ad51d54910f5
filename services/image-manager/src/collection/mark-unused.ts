import { UPLOAD_SECONDS } from '../delete/delete-blobs.ts'
import type { BlobName } from './resolve-names.ts'

export interface MarkUnusedPorts {
  readonly unusedBlobs: {
    markPage(
      after: BlobName | undefined,
      options: { readonly limit: number; readonly unusedSeconds: number },
    ): Promise<{ readonly marked: number; readonly last: BlobName | undefined }>
  }
}

const PAGE_SIZE = 1000
/** Number of pages that one turn reads. The next turn continues after them. */
const PAGES = 20

/**
 * Marks blobs as orphans if no manifest of their repository references them, and if both the grace period and a day
 * have passed since they were uploaded or mounted. The background work of `createOrphanSchedule` then deletes them as
 * it deletes the orphans of a client's deletion. `after` is `last` of the previous call; undefined after the last blob.
 */
export async function markUnusedBlobs(
  { unusedBlobs }: MarkUnusedPorts,
  graceSeconds: number,
  after?: BlobName,
): Promise<{ readonly marked: number; readonly last: BlobName | undefined }> {
  const options = { limit: PAGE_SIZE, unusedSeconds: Math.max(graceSeconds, UPLOAD_SECONDS) }
  let [last, total] = [after, 0]
  for (let pages = 0; pages < PAGES; pages += 1) {
    const page = await unusedBlobs.markPage(last, options)
    total += page.marked
    last = page.last
    if (last === undefined) break
  }
  return { marked: total, last }
}
