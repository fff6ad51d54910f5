import { copyFile, open, readdir, rename, rm, stat, statfs, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { explainError } from '@registry-manager/http'

export interface RotationLimits {
  /** A log that is larger than this is rotated, in bytes. */
  readonly maxBytes: number
  /** Number of rotated files to keep of each log. `NAME.log.1` is the newest. */
  readonly keep: number
}

/** The ten logs of the stack then take at most 3 GB. */
const LIMITS: RotationLimits = { maxBytes: 50 * 2 ** 20, keep: 5 }
const ROTATE_MS = 30_000
const FOLLOW_MS = 1000
/** Bytes of a log that are searched at a time. */
const PIECE = 256 * 1024
/** The same failure is reported once in this time, in milliseconds. */
const REPORT_MS = 60_000
/** Less free space than this is warned of, in bytes. */
const LOW_SPACE = 500 * 2 ** 20

/**
 * Rotates every `*.log` of a folder that is too large. Copies and truncates, because the programs keep their file open
 * for appending, and nginx runs as another user who cannot create files in this folder. Lines that a program writes
 * between copy and truncation are lost. Source: logrotate(8), copytruncate.
 */
export async function rotateLogs(folder: string, { maxBytes, keep }: RotationLimits = LIMITS): Promise<void> {
  for (const name of await readdir(folder)) {
    const file = join(folder, name)
    if (!name.endsWith('.log') || (await stat(file)).size <= maxBytes) continue
    await rm(`${file}.${keep}`, { force: true })
    for (let number = keep - 1; number >= 1; number -= 1) {
      await rename(`${file}.${number}`, `${file}.${number + 1}`).catch(ignoreMissing)
    }
    await copyFile(file, `${file}.1`)
    await truncate(file)
  }
}

/** Rotates the logs of a folder periodically. Returns a function that stops it. */
export function keepRotating(folder: string, say: (line: string) => void): () => void {
  const report = onceIn(REPORT_MS, say)
  const rotate = () =>
    rotateLogs(folder).catch((error: unknown) => report(`the logs cannot be rotated: ${explainError(error)}`))
  void rotate()
  const timer = setInterval(() => void rotate(), ROTATE_MS)
  return () => clearInterval(timer)
}

/** Messages of the operating system for failing storage. Source: errno(3). */
const STORAGE_FAILURE =
  /no space left on device|disk quota exceeded|input\/output error|read-only file system|too many open files/i

/** Returns the storage failure that log lines report; undefined if there is none. */
export function findStorageFailure(text: string): string | undefined {
  return STORAGE_FAILURE.exec(text)?.[0].toLowerCase()
}

/**
 * Reports storage failures that the registry logs, and too little free space on the disk of the data folder. Without
 * these reports only clients notice a full disk, by status 500. Returns a function that stops it.
 */
export function watchStorage(
  { log, folder }: { readonly log: string; readonly folder: string },
  say: (line: string) => void,
): () => void {
  const report = onceIn(REPORT_MS, say)
  let offset: number | undefined
  const follow = async () => {
    const { size } = await stat(log)
    // A rotated log starts at offset 0 again.
    const from = offset === undefined ? size : offset > size ? 0 : offset
    offset = Math.min(size, from + PIECE)
    if (offset === from) return
    const failure = findStorageFailure(await readPiece(log, from, offset - from))
    if (failure !== undefined) report(`the registry cannot store data: ${failure} (see ${log})`)
  }
  const checkSpace = async () => {
    const { bavail, bsize } = await statfs(folder)
    const free = bavail * bsize
    if (free < LOW_SPACE) report(`only ${Math.floor(free / 2 ** 20)} MiB are free on the disk of ${folder}`)
  }
  // The log may not exist yet.
  void follow().catch(() => (offset = 0))
  void checkSpace().catch(() => undefined)
  const following = setInterval(() => void follow().catch(() => undefined), FOLLOW_MS)
  const checking = setInterval(() => void checkSpace().catch(() => undefined), REPORT_MS)
  return () => {
    clearInterval(following)
    clearInterval(checking)
  }
}

async function readPiece(file: string, from: number, bytes: number): Promise<string> {
  const handle = await open(file, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, from)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** Suppresses a line that was reported within the given time. */
function onceIn(milliseconds: number, say: (line: string) => void): (line: string) => void {
  const saidAt = new Map<string, number>()
  return (line) => {
    const now = Date.now()
    for (const [old, at] of saidAt) if (now - at > milliseconds) saidAt.delete(old)
    if (saidAt.has(line)) return
    saidAt.set(line, now)
    say(line)
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}
