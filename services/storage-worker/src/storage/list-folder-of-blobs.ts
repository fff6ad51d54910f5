import { join } from 'node:path'
import { inBatches } from './batches.ts'
import { digestOfBlobFolder } from './layout.ts'
import { findFile, foldersIn } from './read-folder.ts'
import type { StoredBlob } from './storage.ts'

/** Number of blobs that are examined at the same time. */
const BATCH = 64

/** The blobs in the folder `blobs`. Memory does not grow with their number. */
export async function* listFolderOfBlobs(
  blobs: string,
  signal: AbortSignal,
): AsyncIterable<readonly StoredBlob[]> {
  for await (const algorithm of foldersIn(blobs, signal)) {
    for await (const prefix of foldersIn(join(blobs, algorithm), signal)) {
      const parent = `${algorithm}/${prefix}`
      for await (const names of inBatches(foldersIn(join(blobs, parent), signal), BATCH)) {
        const found = await Promise.all(names.map((name) => findBlob(blobs, `${parent}/${name}`)))
        yield found.filter((blob) => blob !== undefined)
      }
      yield []
    }
  }
}

/**
 * Undefined if the folder has another form, or no data: a removal was interrupted, or an upload is ending at this
 * moment.
 */
async function findBlob(blobs: string, folder: string): Promise<StoredBlob | undefined> {
  const digest = digestOfBlobFolder(folder)
  if (digest === undefined) return undefined
  const stats = await findFile(join(blobs, folder, 'data'))
  return stats && { digest, bytes: stats.size, modifiedAt: stats.mtime }
}
