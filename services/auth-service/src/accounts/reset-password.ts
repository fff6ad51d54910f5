import { randomBytes } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import { planUserChange } from './plan-user.ts'
import type { PasswordHasher } from './password-hasher.ts'
import { createUsersStore } from './manage-users.ts'

export type PasswordReset =
  | {
      readonly outcome: 'reset'
      readonly username: string
      readonly password: string
      readonly enabled: boolean
    }
  /** `administrators`: the names of enabled cluster administrators, at most ten. */
  | { readonly outcome: 'absent'; readonly administrators: readonly string[] }
  | { readonly outcome: 'directory'; readonly username: string }

export interface PasswordResetOptions {
  /** In any case. */
  readonly username: string
  /** Turns a directory account into one with a password of its own. */
  readonly leaveDirectory?: boolean
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  readonly makePassword?: () => string
}

/**
 * Gives a user a new random password, which is answered this once, and ends everything that was issued to the account:
 * its generation is raised, its refresh tokens are deleted. A disabled account stays disabled. Directory accounts have no
 * password here; they are left as they are unless `leaveDirectory` is set.
 */
export async function resetPassword(
  db: Database,
  hasher: PasswordHasher,
  { username, leaveDirectory = false, now = Date.now, makePassword = randomPassword }: PasswordResetOptions,
): Promise<PasswordReset> {
  const users = createUsersStore(db, hasher, now)
  const current = await users.findByUsername(username.toLowerCase())
  if (current === undefined) return { outcome: 'absent', administrators: await listAdministrators(db) }
  if (current.directory && !leaveDirectory) return { outcome: 'directory', username: current.username }
  const password = makePassword()
  const planned = planUserChange(current, { ad: false, password })
  if ('fault' in planned) throw new Error(`${planned.fault.field} ${planned.fault.detail}`)
  const changed = await users.change({ id: current.id }, planned.change)
  if ('refused' in changed) return { outcome: 'absent', administrators: await listAdministrators(db) }
  return { outcome: 'reset', username: current.username, password, enabled: changed.user.enabled }
}

async function listAdministrators(db: Database): Promise<string[]> {
  const rows = await db
    .selectFrom('accounts')
    .select('username')
    .where('kind', '=', 'user')
    .where('role', '=', 'cluster-administrator')
    .where('enabled', '=', true)
    .orderBy('username')
    .limit(10)
    .execute()
  return rows.map(({ username }) => username)
}

/** 20 characters, 120 random bits. */
function randomPassword(): string {
  return randomBytes(15).toString('base64url')
}
