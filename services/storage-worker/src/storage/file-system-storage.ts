import { constants } from 'node:fs'
import { access, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { explainError } from '@registry-manager/http'
import { forEachConcurrently } from './batches.ts'
import { REGISTRY_FOLDER, blobFolder } from './layout.ts'
import { listFolderOfBlobs } from './list-folder-of-blobs.ts'
import { listFolderOfRepositories } from './list-folder-of-repositories.ts'
import { openFolder } from './read-folder.ts'
import { BACKGROUND, BLOCKING, createRemoveBlob } from './remove-blob.ts'
import type { FailedRemoval, Removal, Storage } from './storage.ts'
import { TIME_IS_OVER } from './storage.ts'

/** Number of concurrent removals in the background. Node runs four calls of the file system at a time. */
const CONCURRENCY = 8
/**
 * A storage that needs more than SLOW_MS for a blob is slow: the next BACKGROUND_BATCHES are removed in the background.
 */
const [SLOW_MS, BACKGROUND_BATCHES] = [2, 20]
/** Milliseconds that do not count as slow, because other processes use the CPU. */
const SLACK_MS = 20
/** Blobs of a batch. A batch is short, so that pushes never wait for many removals. */
const BATCH = 50

/**
 * The storage of a registry in a folder, which contains `docker/registry/v2`. With `mayBlock`, removals block the
 * process for some milliseconds, unless the storage is slow, for example on a network.
 */
export function createFileSystemStorage(volume: string, { mayBlock = false } = {}): Storage {
  const root = join(volume, REGISTRY_FOLDER)
  let background = mayBlock ? 0 : Number.POSITIVE_INFINITY
  return {
    batch: BATCH,

    async removeBlobs(digests, time) {
      const removed: Removal['removed'][number][] = []
      const failed: FailedRemoval[] = []
      // Operators may use symbolic links on the path to this folder. Below it, no symbolic link is followed.
      const blobs = await realpath(join(root, 'blobs')).catch((error: unknown) => {
        failed.push(...digests.map((digest) => ({ digest, reason: explainError(error) })))
      })
      if (blobs === undefined) return { removed, failed, unknown: [] }
      const isBlocking = background === 0
      if (!isBlocking) background -= 1
      const begin = performance.now()
      const removeBlob = createRemoveBlob(isBlocking ? BLOCKING : BACKGROUND)
      await forEachConcurrently(digests, isBlocking ? 1 : CONCURRENCY, async (digest) => {
        try {
          const bytes = await removeBlob(join(blobs, blobFolder(digest)), time)
          if (bytes === undefined) failed.push({ digest, reason: TIME_IS_OVER })
          else removed.push({ digest, bytes })
        } catch (error) {
          failed.push({ digest, reason: explainError(error) })
        }
      })
      if (isBlocking && performance.now() - begin > SLOW_MS * digests.length + SLACK_MS)
        background = BACKGROUND_BATCHES
      return { removed, failed, unknown: [] }
    },

    listBlobs: (signal) => listFolderOfBlobs(join(root, 'blobs'), signal),

    async *listRepositories(signal) {
      // Without the folder of repositories every blob would look unused. Only a new registry has neither.
      const folders = await Promise.all(['blobs', 'repositories'].map((name) => openFolder(join(root, name))))
      for (const folder of folders) await folder?.close()
      const [blobs, repositories] = folders
      if (blobs !== undefined && repositories === undefined)
        throw new Error(`${join(root, 'repositories')} does not exist, but the storage has blobs`)
      yield* listFolderOfRepositories(join(root, 'repositories'), signal)
    },

    check: () => access(volume, constants.R_OK | constants.W_OK | constants.X_OK),
    close() {},
  }
}
