import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import type { Database } from '../connect.ts'
import { restoreBackup } from './restore.ts'
import { writeBackup } from './write.ts'

/**
 * `backup [FILE]` and `restore [FILE]`; without a file standard output and input. Answers a sentence on what was done;
 * throws what hindered it.
 */
export async function runBackupCommand(db: Database, command: string, file?: string): Promise<string> {
  if (command === 'restore') {
    const rows = await restoreBackup(db, file === undefined ? process.stdin : createReadStream(file))
    return `restored ${rows} rows`
  }
  if (file === undefined) return `backed up ${await writeBackup(db, process.stdout)} rows`
  return `backed up ${await writeFile(db, file)} rows to ${file}`
}

/** All of a backup or nothing, for nobody else to read, and never in another file's place. */
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

/** Makes an empty file, which nobody else can make then. Throws where the name is taken. */
async function reserve(file: string): Promise<void> {
  try {
    await (await open(file, 'wx', 0o600)).close()
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === 'EEXIST'
    throw isTaken ? new Error(`${file} is there already: name a new file`, { cause: error }) : error
  }
}
