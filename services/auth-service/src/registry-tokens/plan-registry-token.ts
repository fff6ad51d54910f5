import type { Access } from '@registry-manager/oci'
import { formatScope } from '@registry-manager/oci'
import type { RegistryToken } from './registry-token.ts'
import { isPast, isTokenName } from './registry-token.ts'
import type { GivenScope } from './registry-token-scope.ts'
import { parseTokenScopes } from './registry-token-scope.ts'
import type { FieldFault } from '../accounts/user-input.ts'

/** Seconds since the epoch. */
const LATEST_SECONDS = Date.UTC(9999, 11, 31, 23, 59, 59) / 1000

/** What is told of a registry token when it is changed. Absent is nothing said. */
export interface GivenTokenChange {
  /** RFC 3339; null for never. */
  readonly expiryDate?: string | null
  readonly scopes?: readonly GivenScope[] | null
  readonly status?: 'enabled' | 'disabled'
}

export interface GivenToken extends GivenTokenChange {
  readonly name: string
}

/** A registry token as it is to be stored; its password still has to be made. */
export interface TokenPlan {
  readonly name: string
  readonly scopes: readonly Access[]
  readonly expiresAt: Date | null
  readonly enabled: boolean
}

/** What changes of a token. Absent stays as it is. */
export type TokenChange = Partial<Omit<TokenPlan, 'name'>>

/** Plans a token that is made, or replaced as a whole; `nowMs` in milliseconds since the epoch. Without scopes it may do nothing yet. */
export function planNewToken(given: GivenToken, nowMs: number): { plan: TokenPlan } | { fault: FieldFault } {
  const { name, expiryDate = null, status = 'enabled' } = given
  if (!isTokenName(name)) {
    const detail = 'must be 2 to 63 letters, digits or -, begin with a letter, and not end with -'
    return { fault: { field: 'name', detail } }
  }
  const parsed = parseTokenScopes(given.scopes ?? [])
  if ('fault' in parsed) return parsed
  const expiry = parseExpiry(expiryDate)
  if ('fault' in expiry) return expiry
  const { expiresAt } = expiry
  if (isPast(expiresAt, nowMs))
    return expiryFault(`must be in the future, or null for never; ${expiryDate} is past`)
  return { plan: { name, scopes: parsed.scopes, expiresAt, enabled: status === 'enabled' } }
}

/** Plans a change: null clears the expiry, and says nothing about scopes. A past expiry ends the token now. */
export function planTokenChange(given: GivenTokenChange): { change: TokenChange } | { fault: FieldFault } {
  const { expiryDate, scopes, status } = given
  const parsed = scopes ? parseTokenScopes(scopes) : undefined
  if (parsed && 'fault' in parsed) return parsed
  const expiry = expiryDate === undefined ? undefined : parseExpiry(expiryDate)
  if (expiry && 'fault' in expiry) return expiry
  return {
    change: {
      ...expiry,
      ...(parsed && { scopes: parsed.scopes }),
      ...(status !== undefined && { enabled: status === 'enabled' }),
    },
  }
}

/** Whether a change ends what was issued before it: all do that touch what a JWT says, or for how long. */
export function endsIssuedTokens(current: RegistryToken, change: TokenChange): boolean {
  const { enabled = current.enabled, expiresAt = current.expiresAt, scopes = current.scopes } = change
  return (
    enabled !== current.enabled ||
    expiresAt?.getTime() !== current.expiresAt?.getTime() ||
    formatScope(scopes) !== formatScope(current.scopes)
  )
}

/**
 * Whether a rotation ends what was issued before it. With an overlap that is long enough it need not: nothing that
 * was had with the old password, or is remembered of it, lasts longer than `issuedLastsMs`.
 */
export function rotationEndsIssuedTokens(
  previousWorks: boolean,
  overlapMs: number,
  issuedLastsMs: number,
): boolean {
  return previousWorks || overlapMs < issuedLastsMs
}

/**
 * In whole seconds, as JWTs count; null for never. Beyond these years, and with leap seconds, what is stored would not be
 * what was given.
 */
function parseExpiry(text: string | null): { expiresAt: Date | null } | { fault: FieldFault } {
  if (text === null) return { expiresAt: null }
  const seconds = Math.floor(Date.parse(text) / 1000)
  if (seconds >= 0 && seconds <= LATEST_SECONDS) return { expiresAt: new Date(seconds * 1000) }
  return expiryFault(`must be a time from 1970 to 9999 such as 2027-06-30T00:00:00Z; ${text} is not`)
}

function expiryFault(detail: string): { fault: FieldFault } {
  return { fault: { field: 'expiryDate', detail } }
}
