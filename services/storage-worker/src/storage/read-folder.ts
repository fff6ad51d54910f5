import type { Dir, Dirent } from 'node:fs'
import { lstat, opendir } from 'node:fs/promises'
import type { Stats } from 'node:fs'
import { join } from 'node:path'

/** Number of entries of a folder that are read at once. */
const BUFFER = 128

/** The names of the folders in a folder. None if it does not exist: a deletion may remove it at any time. */
export async function* foldersIn(path: string, signal: AbortSignal): AsyncIterable<string> {
  const folder = await openFolder(path)
  if (folder === undefined) return
  for await (const entry of folder) {
    signal.throwIfAborted()
    if (isFolder(entry, path)) yield entry.name
  }
}

/** Opens a folder. Undefined if it does not exist. */
export function openFolder(path: string): Promise<Dir | undefined> {
  return opendir(path, { bufferSize: BUFFER }).catch(undefinedIfMissing)
}

/**
 * Whether an entry is a folder. Throws for a symbolic link: the listing does not follow it, so it would not see the
 * links behind it, and blobs in use would look unused.
 */
export function isFolder(entry: Dirent, parent: string): boolean {
  if (entry.isSymbolicLink())
    throw new Error(`${join(parent, entry.name)} is a symbolic link: move its target into the volume`)
  return entry.isDirectory()
}

/** The state of a regular file. Undefined if it does not exist. Throws for anything else. */
export async function findFile(path: string): Promise<Stats | undefined> {
  return requireFile(path, await lstat(path).catch(undefinedIfMissing))
}

/** Throws if the state is that of anything but a regular file. */
export function requireFile(path: string, stats: Stats | undefined): Stats | undefined {
  if (stats !== undefined && !stats.isFile()) throw new Error(`${path} is not a regular file`)
  return stats
}

/** For the `catch` of a call that may find nothing. */
export function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
