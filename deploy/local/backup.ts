/**
 * `npm run backup -- FILE` and `npm run restore -- FILE`: accounts and the index of the database at DATABASE_URL or in
 * DATA_DIR. A running `npm start` writes the backup itself, because it holds the only connection to its database.
 */
import { createWriteStream, existsSync, readFileSync, rmSync, rmdirSync, statSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import { MIGRATING, connectPostgres, runBackupCommand } from '@registry-manager/database'
import { explainStartFailure, readEnvironment, settings } from '@registry-manager/http'
import { Type } from 'typebox'
import { BACKUP_CREDENTIAL, INTERNAL_URL_FILE, secretFile, takeDataFolder } from './data-folder.ts'
import { readIfThere } from './own-files.ts'
import { openPglite } from './pglite.ts'

const schema = Type.Object({
  DATABASE_URL: Type.Optional(settings.databaseUrl),
  DATA_DIR: Type.String({ default: './data' }),
})

/** Deadline of a backup by the running process. A large index takes minutes. */
const BACKUP_MS = 3_600_000

async function run(command: string, file: string): Promise<string> {
  const { DATABASE_URL, DATA_DIR } = readEnvironment(schema, process.env)
  const dataDir = resolve(DATA_DIR)
  const path = resolve(file)
  if (command === 'restore' && !statSync(path).isFile()) throw new Error(`${path} is not a file`)
  const url = DATABASE_URL ?? stackDatabaseUrl(dataDir)
  if (url !== undefined) return withPostgres(url, command, path)
  if (command === 'restore') return restoreHere(dataDir, path)
  if (!existsSync(join(dataDir, 'database'))) {
    throw new Error(`there is nothing to back up in DATA_DIR ${dataDir}: it has no database`)
  }
  const running = readIfThere(join(dataDir, INTERNAL_URL_FILE))
  return running === undefined ? withPglite(dataDir, command, path) : askRunning(running, dataDir, path)
}

/** Returns the URL of the database of `npm run stack`; undefined if the data folder is not the stack's. */
function stackDatabaseUrl(dataDir: string): string | undefined {
  return existsSync(join(dataDir, 'postgres')) ? readIfThere(secretFile(dataDir, 'database-url')) : undefined
}

async function withPostgres(url: string, command: string, file: string): Promise<string> {
  const db = connectPostgres(url, MIGRATING)
  try {
    return await runBackupCommand(db, command, file)
  } finally {
    await db.destroy()
  }
}

async function withPglite(dataDir: string, command: string, file: string): Promise<string> {
  const giveBack = takeDataFolder(dataDir)
  try {
    const db = await openPglite(join(dataDir, 'database'))
    try {
      return await runBackupCommand(db, command, file)
    } finally {
      await db.destroy()
    }
  } finally {
    giveBack()
  }
}

/** Restores into a data folder. Removes the files that it created if the restore fails. */
async function restoreHere(dataDir: string, file: string): Promise<string> {
  const database = join(dataDir, 'database')
  const [hadFolder, hadDatabase] = [existsSync(dataDir), existsSync(database)]
  try {
    return await withPglite(dataDir, 'restore', file)
  } catch (error) {
    if (!hadDatabase) rmSync(database, { recursive: true, force: true })
    if (!hadFolder && existsSync(dataDir)) rmdirSync(dataDir)
    throw error
  }
}

/** Asks the process that serves DATA_DIR for a backup and writes it to a new file with mode 0600. */
async function askRunning(url: string, dataDir: string, file: string): Promise<string> {
  if (existsSync(file)) throw new Error(`${file} already exists: name a new file`)
  const credential = readFileSync(secretFile(dataDir, BACKUP_CREDENTIAL), 'utf8')
  const signal = AbortSignal.timeout(BACKUP_MS)
  const headers = { authorization: `Bearer ${credential}` }
  const response = await fetch(`${url}/backup`, { method: 'POST', headers, signal }).catch(
    (cause: unknown) => {
      const stale = join(dataDir, INTERNAL_URL_FILE)
      throw new Error(
        `the registry-manager of ${dataDir} does not respond at ${url}: if none is running, remove ${stale}`,
        { cause },
      )
    },
  )
  if (response.status !== 200 || response.body === null) {
    throw new Error(
      `the running registry-manager refused the backup: ${response.status} ${await response.text()}`,
    )
  }
  const part = `${file}.part`
  try {
    const out = createWriteStream(part, { mode: 0o600, flags: 'wx' })
    await pipeline(Readable.fromWeb(response.body as ReadableStream), out, { signal })
    await rename(part, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') await rm(part, { force: true })
    throw error
  }
  return `backed up ${statSync(file).size} bytes to ${file}, from the running registry-manager`
}

const [command = '', file] = process.argv.slice(2)
if (file === undefined) {
  process.stderr.write(`npm run ${command} -- FILE: name the file\n`)
  process.exit(2)
}
try {
  process.stdout.write(`${await run(command, file)}\n`)
} catch (error) {
  process.stderr.write(`${explainStartFailure(error)}\n`)
  process.exit(1)
}
