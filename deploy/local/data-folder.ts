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

/** Name of the secret by which `npm run backup` authenticates to the running process. */
export const BACKUP_CREDENTIAL = 'backup-credential'
/** File of the data folder with the URL of the internal port, while a process serves. */
export const INTERNAL_URL_FILE = 'internal-url'

/** Names that `npm start` and `npm run stack` use in their data folder. */
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
 * Creates the data folder with mode 0700 and locks it for this process. Returns a function that releases the lock.
 * Throws an Error whose message is one line.
 */
export function takeDataFolder(folder: string): () => void {
  const lock = join(folder, 'lock')
  try {
    ensureOwnFolder(folder, OURS)
    const holder = holderOf(lock)
    if (holder !== undefined) {
      throw new Error(
        `another registry-manager (process ${holder}) uses it: stop that process first. If that process is no ` +
          `registry-manager, remove ${lock}`,
      )
    }
    replaceOwnFile(lock, String(process.pid))
  } catch (error) {
    throw new Error(`DATA_DIR ${folder} cannot be used: ${explainError(error)}`, { cause: error })
  }
  return () => rmSync(lock, { force: true })
}

/** Returns the secrets of the data folder. Creates those that do not exist yet. */
export function madeSecrets(folder: string): MadeSecrets {
  const secret = (name: string) => madeSecret(folder, name).value
  return {
    serviceCredential: secret('service-credential'),
    uploadSecret: secret('upload-secret'),
    registryHttpSecret: secret('registry-http-secret'),
  }
}

/**
 * Returns a secret and its file. Creates the file if it does not exist, and never replaces it. Throws if the file is
 * empty or cannot be read.
 */
export function madeSecret(folder: string, name: string): { readonly file: string; readonly value: string } {
  const file = secretFile(folder, name)
  const value = readIfThere(file)
  if (value === '') throw new Error(`${file} is empty: restore it, or remove it to generate a new one`)
  if (value !== undefined) return { file, value }
  const made = randomBytes(32).toString('base64url')
  makeSecretsFolder(folder)
  writeNewFile(file, made)
  return { file, value: made }
}

/** Writes a value to a secret file with mode 0600. Replaces the value of the previous start. */
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

/** Returns the id of another living process that holds a data folder's lock. */
export function holderOf(lock: string): number | undefined {
  try {
    const holder = Number(readFileSync(lock, 'utf8'))
    process.kill(holder, 0)
    return holder === process.pid ? undefined : holder
  } catch {
    // There is no lock, or its process has ended.
    return undefined
  }
}
