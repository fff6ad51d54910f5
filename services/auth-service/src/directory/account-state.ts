/** How the directory stands to somebody it has. */
export type AccountState = 'active' | 'disabled' | 'expired' | 'locked'

/** An entry's attributes, by their names in lower case. */
export type Attributes = ReadonlyMap<string, readonly string[]>

/** What `accountState` looks at; operational ones must be asked for by name. */
export const STATE_ATTRIBUTES = [
  'userAccountControl',
  'msDS-User-Account-Control-Computed',
  'accountExpires',
  'pwdAccountLockedTime',
  'pwdEndTime',
] as const

/** Source: MS-ADTS §2.2.16, and §3.1.1.4.5.17 for what is computed. */
const [ACCOUNT_DISABLED, LOCKED_OUT, PASSWORD_EXPIRED] = [0x2, 0x10, 0x80_0000]
/** An account that its administrator locked. Source: draft-behera-ldap-password-policy-11 §5.3.3. */
const LOCKED_FOR_GOOD = '000001010000Z'
/** Milliseconds from 1601 to 1970. Source: MS-DTYP §2.3.3 (FILETIME). */
const FILETIME_EPOCH_MS = 11_644_473_600_000n
const NEVER = 0x7fff_ffff_ffff_ffffn

/**
 * Whether somebody may sign in, as far as their entry tells: Active Directory's account control, expiry and lockout,
 * and the password policy of OpenLDAP. A server may go on refusing for reasons of its own. `now` in milliseconds.
 */
export function accountState(attributes: Attributes, now: number): AccountState {
  const flags =
    whole(attributes, 'useraccountcontrol') | whole(attributes, 'msds-user-account-control-computed')
  const locked = attributes.get('pwdaccountlockedtime')?.[0]
  if (has(flags, ACCOUNT_DISABLED) || locked === LOCKED_FOR_GOOD) return 'disabled'
  if (has(flags, PASSWORD_EXPIRED) || hasExpired(attributes, now)) return 'expired'
  return has(flags, LOCKED_OUT) || locked !== undefined ? 'locked' : 'active'
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
