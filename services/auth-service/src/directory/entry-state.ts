import type { DirectoryState } from '../principals/account.ts'

/** Whether the user of an entry may sign in. */
export type EntryState = Exclude<DirectoryState['state'], 'gone' | 'ambiguous'>

/** An entry's attributes by name, in lower case. */
export type Attributes = ReadonlyMap<string, readonly string[]>

/** The attributes that `entryState` reads. Searches must request operational attributes by name. */
export const STATE_ATTRIBUTES = [
  'userAccountControl',
  'msDS-User-Account-Control-Computed',
  'accountExpires',
  'pwdAccountLockedTime',
  'pwdEndTime',
] as const

/** Source: MS-ADTS §2.2.16, and §3.1.1.4.5.17 for the computed flags. */
const [ACCOUNT_DISABLED, LOCKED_OUT, PASSWORD_EXPIRED] = [0x2, 0x10, 0x80_0000]
/** The value of an account that an administrator locked. Source: draft-behera-ldap-password-policy-11 §5.3.3. */
const LOCKED_FOR_GOOD = '000001010000Z'
/** Milliseconds from 1601 to 1970. Source: MS-DTYP §2.3.3 (FILETIME). */
const FILETIME_EPOCH_MS = 11_644_473_600_000n
const NEVER = 0x7fff_ffff_ffff_ffffn

/**
 * The state that an entry's attributes give: Active Directory's account control, expiry and lockout, and OpenLDAP's
 * password policy. The server may refuse a bind for other reasons. `now` is in milliseconds since the epoch.
 */
export function entryState(attributes: Attributes, now: number): EntryState {
  const flags =
    whole(attributes, 'useraccountcontrol') | whole(attributes, 'msds-user-account-control-computed')
  const locked = attributes.get('pwdaccountlockedtime')?.[0]
  if (has(flags, ACCOUNT_DISABLED) || locked === LOCKED_FOR_GOOD) return 'disabled'
  if (has(flags, PASSWORD_EXPIRED) || hasExpired(attributes, now)) return 'expired'
  return has(flags, LOCKED_OUT) || locked !== undefined ? 'locked' : 'active'
}

/**
 * Whether to try a bind. True for a locked entry too: a lock can expire without a change of the entry, and only a bind
 * shows it.
 */
export function mayBind(state: EntryState): boolean {
  return state === 'active' || state === 'locked'
}

function hasExpired(attributes: Attributes, now: number): boolean {
  const filetime = whole(attributes, 'accountexpires')
  if (filetime !== 0n && filetime !== NEVER && toMilliseconds(filetime) <= now) return true
  return timeOf(attributes.get('pwdendtime')?.[0] ?? '') <= now
}

function toMilliseconds(filetime: bigint): number {
  return Number(filetime / 10_000n - FILETIME_EPOCH_MS)
}

/** Milliseconds of a GeneralizedTime in UTC; infinity for anything else. Source: RFC 4517 §3.3.13. */
function timeOf(text: string): number {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:[.,]\d+)?Z$/.exec(text)
  if (match === null) return Infinity
  const [year = 0, month = 0, ...rest] = match.slice(1).map(Number)
  return Date.UTC(year, month - 1, ...rest)
}

function has(flags: bigint, flag: number): boolean {
  return (flags & BigInt(flag)) !== 0n
}

function whole(attributes: Attributes, name: string): bigint {
  const text = attributes.get(name)?.[0] ?? ''
  return /^-?\d{1,20}$/.test(text) ? BigInt(text) : 0n
}
