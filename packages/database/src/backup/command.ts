import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
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

/** All of a backup or nothing, for nobody else to read, and in no other file's place. */
async function writeFile(db: Database, file: string): Promise<number> {
  if (existsSync(file)) throw new Error(`${file} is there already`)
  const part = `${file}.part`
  try {
    const rows = await writeBackup(db, createWriteStream(part, { mode: 0o600 }))
    await rename(part, file)
    return rows
  } finally {
    await rm(part, { force: true })
  }
}
