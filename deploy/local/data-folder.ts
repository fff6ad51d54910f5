import { randomBytes } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { explainError } from '@registry-manager/http'
import type { FolderMarks } from './own-files.ts'
import {
  ensureOwnFolder,
  makeFolder,
  makePrivate,
  readIfThere,
  replaceOwnFile,
  writeNewFile,
} from './own-files.ts'

export interface MadeSecrets {
  readonly serviceCredential: string
  readonly uploadSecret: string
  readonly registryHttpSecret: string
}

/** The secret of `secrets` that `npm run backup` shows to a running process. */
export const BACKUP_CREDENTIAL = 'backup-credential'
/** The file of the data folder that holds the URL of the internal port while a process serves. */
export const INTERNAL_URL_FILE = 'internal-url'

/** What `npm start` and `npm run stack` keep in their folder. */
const OURS: FolderMarks = {
  names: new Set([
    'lock',
    'secrets',
    'signing-keys',
    'images',
    'database',
    'postgres',
    'tls',
    'logs',
    'run',
    'nginx',
    'restore.gz',
    INTERNAL_URL_FILE,
  ]),
  proofs: [
    'secrets/service-credential',
    'secrets/upload-secret',
    'database/PG_VERSION',
    'postgres/PG_VERSION',
  ],
}

/**
 * Makes the folder that holds everything, for its owner alone, and takes it for this process. Returns a function that
 * gives it back. Throws an Error whose message is one clear line.
 */
export function takeDataFolder(folder: string): () => void {
  const lock = join(folder, 'lock')
  try {
    ensureOwnFolder(folder, OURS)
    const holder = holderOf(lock)
    if (holder !== undefined) {
      throw new Error(
        `another registry-manager (process ${holder}) uses it: stop that one first. If no such process is a ` +
          `registry-manager, remove ${lock}`,
      )
    }
    replaceOwnFile(lock, String(process.pid))
  } catch (error) {
    throw new Error(`DATA_DIR ${folder} cannot be used: ${explainError(error)}`, { cause: error })
  }
  return () => rmSync(lock, { force: true })
}

/** The secrets that are made once and kept. */
export function madeSecrets(folder: string): MadeSecrets {
  const secret = (name: string) => madeSecret(folder, name).value
  return {
    serviceCredential: secret('service-credential'),
    uploadSecret: secret('upload-secret'),
    registryHttpSecret: secret('registry-http-secret'),
  }
}

/**
 * A secret that is made once and kept in a file: the file, and what it holds. Throws where the file is there and cannot
 * be read or is empty; it is never replaced.
 */
export function madeSecret(folder: string, name: string): { readonly file: string; readonly value: string } {
  const file = secretFile(folder, name)
  const value = readIfThere(file)
  if (value === '') throw new Error(`${file} is empty: restore it, or remove it to have a new one made`)
  if (value !== undefined) return { file, value }
  const made = randomBytes(32).toString('base64url')
  makeSecretsFolder(folder)
  writeNewFile(file, made)
  return { file, value: made }
}

/** Writes a value that is found out at each start into its file, which only the owner can read. */
export function keepSecret(folder: string, name: string, value: string) {
  const file = secretFile(folder, name)
  makeSecretsFolder(folder)
  replaceOwnFile(file, value)
  return { file, value }
}

function makeSecretsFolder(folder: string): void {
  const secrets = join(folder, 'secrets')
  makeFolder(secrets)
  makePrivate(secrets)
}

export function secretFile(folder: string, name: string): string {
  return join(folder, 'secrets', name)
}

/** The living process that holds a data folder's lock, other than this one. */
export function holderOf(lock: string): number | undefined {
  try {
    const holder = Number(readFileSync(lock, 'utf8'))
    process.kill(holder, 0)
    return holder === process.pid ? undefined : holder
  } catch {
    // No lock, or left by a process that is no more.
    return undefined
  }
}
