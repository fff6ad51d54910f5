import type { FieldFault } from '@registry-manager/http'
import { isPast } from './registry-token.ts'

/** Seconds since the epoch. */
const LATEST_SECONDS = Date.UTC(9999, 11, 31, 23, 59, 59) / 1000

type Expiry = { readonly expiresAt: Date | null } | { readonly fault: FieldFault }

/**
 * Parses an expiry in whole seconds, like `exp` in access tokens; null for never. A year out of this range, and a leap
 * second, would be stored as another time than the given one.
 */
export function parseExpiry(text: string | null): Expiry {
  if (text === null) return { expiresAt: null }
  const seconds = Math.floor(Date.parse(text) / 1000)
  if (seconds >= 0 && seconds <= LATEST_SECONDS) return { expiresAt: new Date(seconds * 1000) }
  return expiryFault(`must be a time from 1970 to 9999 such as 2027-06-30T00:00:00Z; ${text} is not`)
}

/** Parses the expiry of a new credential, which must not have expired already. */
export function parseFutureExpiry(text: string | null, nowMs: number): Expiry {
  const expiry = parseExpiry(text)
  if ('fault' in expiry || !isPast(expiry.expiresAt, nowMs)) return expiry
  return expiryFault(`must be in the future, or null for never; ${text} is in the past`)
}

function expiryFault(detail: string): { fault: FieldFault } {
  return { fault: { field: 'expiryDate', detail } }
}
