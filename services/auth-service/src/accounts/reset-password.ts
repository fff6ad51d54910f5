import { randomBytes } from 'node:crypto'
import type { Account, AccountRef } from '../principals/account.ts'
import type { ChangeAccount } from './change-account.ts'
import { planUserChange } from './plan-user.ts'

export type PasswordReset =
  | {
      readonly outcome: 'reset'
      readonly username: string
      readonly password: string
      readonly enabled: boolean
    }
  /** `administrators`: usernames of enabled cluster administrators, at most ten. */
  | { readonly outcome: 'absent'; readonly administrators: readonly string[] }
  | { readonly outcome: 'directory' | 'provider'; readonly username: string }

export interface ResetPasswordPorts {
  find(ref: AccountRef): Promise<Account | undefined>
  listAdministrators(limit: number): Promise<readonly string[]>
  change: ChangeAccount['change']
}

export interface ResetPasswordOptions {
  /** Case-insensitive. */
  readonly username: string
  /** Turns a user of the directory or of a provider into a local user. */
  readonly leaveDirectory?: boolean
  readonly makePassword?: () => string
}

/**
 * Gives a user a new random password and ends all sessions of the account. A disabled account stays disabled. A user of
 * the directory or of a provider has no password here, and is left unchanged unless `leaveDirectory` is set.
 */
export async function resetPassword(
  { find, listAdministrators, change }: ResetPasswordPorts,
  { username, leaveDirectory = false, makePassword = randomPassword }: ResetPasswordOptions,
): Promise<PasswordReset> {
  const absent = async () => ({ outcome: 'absent', administrators: await listAdministrators(10) }) as const
  const current = await find(username.toLowerCase())
  if (current === undefined) return absent()
  const { directory, provider } = current
  if ((directory || provider !== undefined) && !leaveDirectory) {
    return { outcome: directory ? 'directory' : 'provider', username: current.username }
  }
  const password = makePassword()
  const planned = planUserChange(current, { ad: false, provider: '', password })
  if ('fault' in planned) throw new Error(`${planned.fault.field} ${planned.fault.detail}`)
  const changed = await change({ id: current.id }, planned.change)
  if ('refused' in changed) return absent()
  return { outcome: 'reset', username: current.username, password, enabled: changed.user.enabled }
}

/** 20 characters, 120 random bits. */
function randomPassword(): string {
  return randomBytes(15).toString('base64url')
}
