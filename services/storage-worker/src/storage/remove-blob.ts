import type { Stats } from 'node:fs'
import { lstatSync, realpathSync, renameSync, rmdirSync, unlinkSync } from 'node:fs'
import { lstat, realpath, rename, rmdir, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { requireFile, undefinedIfMissing } from './read-folder.ts'
import type { RemovalTime } from './storage.ts'

/** The calls of the file system that a removal needs. A missing file is no error. */
export interface FileCalls {
  lstat(path: string): Result<Stats | undefined>
  realpath(path: string): Result<string | undefined>
  rename(from: string, to: string): Result<unknown>
  unlink(path: string): Result<unknown>
  /** A folder that has entries stays. */
  rmdir(path: string): Result<unknown>
}

type Result<Value> = Value | Promise<Value>

/** Calls in libuv's threads. The event loop continues. */
export const BACKGROUND: FileCalls = {
  lstat: (path) => lstat(path).catch(undefinedIfMissing),
  realpath: (path) => realpath(path).catch(undefinedIfMissing),
  rename: (from, to) => rename(from, to).catch(undefinedIfMissing),
  unlink: (path) => unlink(path).catch(undefinedIfMissing),
  rmdir: (path) => rmdir(path).catch(undefinedIfUsed),
}

/** Calls that block the process. Each needs half of the CPU time: no thread is woken, and no promise is made. */
export const BLOCKING: FileCalls = {
  lstat: (path) => lstatSync(path, { throwIfNoEntry: false }),
  realpath: (path) => attempt(() => realpathSync.native(path), undefinedIfMissing),
  rename: (from, to) => attempt(() => renameSync(from, to), undefinedIfMissing),
  unlink: (path) => attempt(() => unlinkSync(path), undefinedIfMissing),
  rmdir: (path) => attempt(() => rmdirSync(path), undefinedIfUsed),
}

function attempt<Value>(
  call: () => Value,
  onError: (error: NodeJS.ErrnoException) => undefined,
): Value | undefined {
  try {
    return call()
  } catch (error) {
    return onError(error as NodeJS.ErrnoException)
  }
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
  const paths = new Map<string, Result<string | undefined>>()
  const findPrefix = (folder: string) => {
    const known = paths.get(folder)
    if (known !== undefined) return known
    const path = calls.realpath(folder)
    paths.set(folder, path)
    return path
  }
  return async (folder, time) => {
    const prefix = await findPrefix(dirname(folder))
    if (prefix === undefined) return null
    const found = await calls.lstat(folder)
    if (found === undefined) return null
    if (prefix !== dirname(folder) || found.isSymbolicLink())
      throw new Error(`${folder} is reached through a symbolic link`)
    const [data, removed] = [`${folder}/data`, `${folder}/removed`]
    const stats = requireFile(data, await calls.lstat(data))
    if (time.isOver()) return undefined
    if (stats !== undefined) await calls.rename(data, removed)
    if (stats !== undefined && time.isOver()) {
      // Data that was stored again in the meantime is replaced by the same bytes.
      await calls.rename(removed, data)
      return undefined
    }
    await calls.unlink(removed)
    await calls.rmdir(folder)
    return stats?.size ?? null
  }
}

/** A folder with other files stays: the data of the blob was removed nevertheless. */
function undefinedIfUsed(error: NodeJS.ErrnoException): undefined {
  if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(error.code ?? '')) throw error
}
