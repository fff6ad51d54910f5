import { constants } from 'node:fs'
import { access, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
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
 * Number of removals that are timed together. If they take more than SLOW_MS for each, and SLACK_MS in addition, the
 * storage is slow: the next SLOW_GROUPS are removed in the background.
 */
const GROUP = 50
const [SLOW_MS, SLOW_GROUPS] = [2, 20]
/** Milliseconds that do not count as slow, because other processes use the CPU. */
const SLACK_MS = 20
/**
 * Blobs of a batch. Pushes wait for commits of the file system's journal. With large batches and pauses between them,
 * most of these commits contain no removals.
 */
const BATCH = 500

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
      for (let at = 0; at < digests.length; at += GROUP) {
        const group = digests.slice(at, at + GROUP)
        const isBlocking = background === 0
        if (!isBlocking) background -= 1
        const begin = performance.now()
        const removeBlob = createRemoveBlob(isBlocking ? BLOCKING : BACKGROUND)
        await forEachConcurrently(group, isBlocking ? 1 : CONCURRENCY, async (digest) => {
          try {
            const bytes = await removeBlob(join(blobs, blobFolder(digest)), time)
            if (bytes === undefined) failed.push({ digest, reason: TIME_IS_OVER })
            else removed.push({ digest, bytes })
          } catch (error) {
            failed.push({ digest, reason: explainError(error) })
          }
        })
        if (!isBlocking) continue
        if (performance.now() - begin > SLOW_MS * group.length + SLACK_MS) background = SLOW_GROUPS
        // Other work of the process is done between two groups, such as responses to health checks.
        await setImmediate()
      }
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
