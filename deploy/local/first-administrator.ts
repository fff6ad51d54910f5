import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { createAccounts } from '@registry-manager/auth-service/embedding'
import type { Database } from '@registry-manager/database'
import { keepSecret, secretFile } from './data-folder.ts'
import { readIfThere } from './own-files.ts'

/** The first administrator's password, from when it was made until it was shown. */
const FIRST_PASSWORD = 'first-password'

export interface FirstAdministratorOptions {
  readonly dataDir: string
  readonly username: string
  /** As the settings have it; one is made when left out. */
  readonly password: string | undefined
}

/**
 * Makes the first administrator where there is none. Returns the password that was made, as long as it has not been
 * shown: a start may end between making it and showing it. Throws an Error that names the setting at fault.
 */
export async function ensureFirstAdministrator(
  db: Database,
  { dataDir, username, password }: FirstAdministratorOptions,
  say: (line: string) => void,
): Promise<string | undefined> {
  const make = () =>
    password ?? keepSecret(dataDir, FIRST_PASSWORD, randomBytes(12).toString('base64url')).value
  const first = await createAccounts(db).ensureFirstAdministrator(username, make)
  if (first.outcome === 'impossible') throw new Error(first.reason)
  if (first.outcome === 'exists' && password) say('ADMIN_PASSWORD is ignored: there is an administrator')
  return readIfThere(secretFile(dataDir, FIRST_PASSWORD))
}

/** Forgets the password that was shown. */
export function forgetFirstPassword(dataDir: string): void {
  rmSync(secretFile(dataDir, FIRST_PASSWORD), { force: true })
}
