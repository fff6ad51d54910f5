import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { createAccounts } from '@registry-manager/auth-service/embedding'
import type { Database } from '@registry-manager/database'
import { keepSecret, secretFile } from './data-folder.ts'
import { readIfThere } from './own-files.ts'

/** File of the generated password of the first administrator, until the password was shown. */
const FIRST_PASSWORD = 'first-password'

export interface FirstAdministratorOptions {
  readonly dataDir: string
  readonly username: string
  /** ADMIN_PASSWORD; a password is generated without it. */
  readonly password: string | undefined
}

/**
 * Creates the first administrator if there is none. Returns the generated password until it was shown once: a start
 * may end after it generated a password and before it showed it. Throws an Error that names the wrong setting.
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

/** Deletes the stored password after it was shown. */
export function forgetFirstPassword(dataDir: string): void {
  rmSync(secretFile(dataDir, FIRST_PASSWORD), { force: true })
}
