import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface MadeSecrets {
  readonly serviceCredential: string
  readonly uploadSecret: string
  readonly registryHttpSecret: string
}

/**
 * Makes the folder that holds everything, and takes it for this process alone. Answers how to give it back.
 * Throws an Error whose message is one clear line.
 */
export function takeDataFolder(folder: string): () => void {
  const lock = join(folder, 'lock')
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const holder = holderOf(lock)
    if (holder !== undefined)
      throw new Error(`another registry-manager (process ${holder}) uses it; if none does, remove ${lock}`)
    writeFileSync(lock, String(process.pid))
  } catch (error) {
    throw new Error(`DATA_DIR ${folder} cannot be used: ${(error as Error).message}`, { cause: error })
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

/** A secret that is made once and kept in a file: the file, and what it holds. */
export function madeSecret(folder: string, name: string): { readonly file: string; readonly value: string } {
  const file = secretFile(folder, name)
  try {
    return { file, value: readFileSync(file, 'utf8') }
  } catch {
    return keepSecret(folder, name, randomBytes(32).toString('base64url'))
  }
}

/** Writes a secret into its file, which only the owner can read. */
export function keepSecret(folder: string, name: string, value: string) {
  const file = secretFile(folder, name)
  mkdirSync(join(folder, 'secrets'), { recursive: true, mode: 0o700 })
  writeFileSync(file, value, { mode: 0o600 })
  return { file, value }
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
