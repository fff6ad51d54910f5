import type { Stats } from 'node:fs'
import { lstatSync, realpathSync, renameSync, rmdirSync, unlinkSync } from 'node:fs'
import { lstat, realpath, rename, rmdir, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { requireFile, undefinedIfMissing } from './read-folder.ts'
import type { RemovalTime } from './storage.ts'

/** The calls of the file system that a removal needs. */
export interface FileCalls {
  lstat(path: string): Promise<Stats>
  realpath(path: string): Promise<string>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  rmdir(path: string): Promise<void>
}

/** Calls in libuv's threads. The event loop continues. */
export const BACKGROUND: FileCalls = { lstat: (path) => lstat(path), realpath, rename, unlink, rmdir }

/** Calls that block the process. Each needs half of the CPU time, because no thread has to be woken. */
export const BLOCKING: FileCalls = {
  lstat: async (path) => lstatSync(path),
  realpath: async (path) => realpathSync.native(path),
  rename: async (from, to) => renameSync(from, to),
  unlink: async (path) => unlinkSync(path),
  rmdir: async (path) => rmdirSync(path),
}

/** Removes the data of blobs in one batch. */
export interface RemoveBlob {
  /**
   * Removes the data of a blob, then its folder. Returns the number of bytes, null if there was no data, and undefined
   * if the time was over. A crash leaves an empty folder, or one with `removed`, which the next claim of the digest
   * removes.
   *
   * The process may be suspended, or a network file system may hang, for minutes after the first look at the time. In
   * the meantime a client may have pushed the blob again, and the registry has reused the data. So the data is only
   * renamed first, and gets its name back if the time is over by then.
   */
  (folder: string, time: RemovalTime): Promise<number | null | undefined>
}

/**
 * Creates the function that removes the blobs of one batch. It remembers the real paths of the folders of prefixes,
 * because a real path costs more than a removal.
 */
export function createRemoveBlob(calls: FileCalls): RemoveBlob {
  const paths = new Map<string, Promise<string | undefined>>()
  const findPrefix = (folder: string) => {
    const known = paths.get(folder)
    if (known !== undefined) return known
    const path = calls.realpath(folder).catch(undefinedIfMissing)
    paths.set(folder, path)
    return path
  }
  return async (folder, time) => {
    const prefix = await findPrefix(dirname(folder))
    if (prefix === undefined) return null
    const found = await calls.lstat(folder).catch(undefinedIfMissing)
    if (found === undefined) return null
    if (prefix !== dirname(folder) || found.isSymbolicLink())
      throw new Error(`${folder} is reached through a symbolic link`)
    const [data, removed] = [join(folder, 'data'), join(folder, 'removed')]
    const stats = requireFile(data, await calls.lstat(data).catch(undefinedIfMissing))
    if (time.isOver()) return undefined
    if (stats !== undefined) await calls.rename(data, removed).catch(undefinedIfMissing)
    if (stats !== undefined && time.isOver()) {
      // Data that was stored again in the meantime is replaced by the same bytes.
      await calls.rename(removed, data).catch(undefinedIfMissing)
      return undefined
    }
    await calls.unlink(removed).catch(undefinedIfMissing)
    await calls.rmdir(folder).catch(undefinedIfUsed)
    return stats?.size ?? null
  }
}

/** A folder with other files stays: the data of the blob was removed nevertheless. */
function undefinedIfUsed(error: NodeJS.ErrnoException): undefined {
  if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(error.code ?? '')) throw error
}
