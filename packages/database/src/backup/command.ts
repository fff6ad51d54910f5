import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import type { Database } from '../connect.ts'
import { restoreBackup } from './restore.ts'
import { writeBackup } from './write.ts'

/**
 * Runs `backup [FILE]` or `restore [FILE]`; without a file it uses standard output or input. Returns a sentence that
 * reports the result.
 */
export async function runBackupCommand(db: Database, command: string, file?: string): Promise<string> {
  if (command === 'restore') {
    const rows = await restoreBackup(db, file === undefined ? process.stdin : createReadStream(file))
    return `restored ${rows} rows`
  }
  if (file === undefined) return `backed up ${await writeBackup(db, process.stdout)} rows`
  return `backed up ${await writeFile(db, file)} rows to ${file}`
}

/** Writes a whole backup or no file at all. Other users cannot read it, and it replaces no existing file. */
async function writeFile(db: Database, file: string): Promise<number> {
  await reserve(file)
  const part = `${file}.${randomBytes(6).toString('hex')}.part`
  try {
    const rows = await writeBackup(db, createWriteStream(part, { mode: 0o600, flags: 'wx' }))
    await rename(part, file)
    return rows
  } catch (error) {
    await rm(file, { force: true })
    throw error
  } finally {
    await rm(part, { force: true })
  }
}

/** Creates an empty file, which reserves its name. Throws if the name is taken. */
async function reserve(file: string): Promise<void> {
  try {
    await (await open(file, 'wx', 0o600)).close()
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === 'EEXIST'
    throw isTaken ? new Error(`${file} already exists: name a new file`, { cause: error }) : error
  }
}
