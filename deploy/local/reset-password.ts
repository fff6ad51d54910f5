/**
 * `npm run reset-password -- NAME`: in the database at DATABASE_URL, in that of `npm start` in DATA_DIR, or in that of
 * the running `npm run stack`.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { runResetPassword } from '@registry-manager/auth-service/embedding'
import { connectPostgres } from '@registry-manager/database'
import { readEnvironment, settings } from '@registry-manager/http'
import { Type } from 'typebox'
import { holderOf, secretFile, takeDataFolder } from './data-folder.ts'
import { openPglite } from './pglite.ts'

const schema = Type.Object({
  DATABASE_URL: Type.Optional(settings.databaseUrl),
  DATA_DIR: Type.Optional(Type.String()),
})

/** The data folders of `npm start` and `npm run stack`, for a DATA_DIR that is not set. */
const DEFAULT_FOLDERS = ['./data', './data-stack']

const isEmbedded = (folder: string) => existsSync(join(folder, 'database'))
const isStack = (folder: string) => existsSync(join(folder, 'postgres'))

async function open() {
  const { DATABASE_URL, DATA_DIR } = readEnvironment(schema, process.env)
  if (DATABASE_URL !== undefined) return openPostgres(DATABASE_URL)
  const folder = findFolder(DATA_DIR)
  return isEmbedded(folder) ? openEmbedded(folder) : openStack(folder)
}

function findFolder(given: string | undefined): string {
  const folders = (given === undefined ? DEFAULT_FOLDERS : [given]).map((folder) => resolve(folder))
  const [found, another] = folders.filter((folder) => isEmbedded(folder) || isStack(folder))
  if (found === undefined) throw new Error(`no database is in ${folders.join(' or ')}: set DATA_DIR`)
  if (another !== undefined) {
    throw new Error(`there are databases in ${found} and ${another}: set DATA_DIR to one of them`)
  }
  return found
}

/** Only one process can open a PGlite database. */
async function openEmbedded(folder: string) {
  const holder = holderOf(join(folder, 'lock'))
  if (holder !== undefined) {
    throw new Error(`npm start (process ${holder}) is using ${folder}: stop it first, and run this again`)
  }
  const giveBack = takeDataFolder(folder)
  try {
    const db = await openPglite(join(folder, 'database'))
    return { db, close: () => db.destroy().finally(giveBack) }
  } catch (error) {
    giveBack()
    throw error
  }
}

async function openStack(folder: string) {
  const file = secretFile(folder, 'database-url')
  if (holderOf(join(folder, 'lock')) === undefined || !existsSync(file)) {
    throw new Error(`npm run stack is not running with ${folder}: start it first, and run this again`)
  }
  return openPostgres(readFileSync(file, 'utf8'))
}

async function openPostgres(url: string) {
  const db = connectPostgres(url)
  return { db, close: () => db.destroy() }
}

await runResetPassword({ name: 'npm run reset-password --', args: process.argv.slice(2), open })
