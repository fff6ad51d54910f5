import type { FieldFault } from '@registry-manager/http'
import type { Access } from '@registry-manager/oci'
import { formatScope } from '@registry-manager/oci'
import type { RegistryToken } from '../principals/registry-token.ts'
import { parseExpiry, parseFutureExpiry } from '../principals/expiry.ts'
import { toScopes } from '../principals/scope.ts'

/** The fields of a request that changes a registry token; an absent field stays as it is. */
export interface RegistryTokenChangeInput {
  /** RFC 3339; null for never. */
  readonly expiryDate?: string | null
  readonly scopes?: readonly Access[] | null
  readonly status?: 'enabled' | 'disabled'
}

export interface RegistryTokenInput extends RegistryTokenChangeInput {
  readonly name: string
}

/** A registry token to be stored, without its password. */
export interface RegistryTokenPlan {
  readonly name: string
  readonly scopes: readonly Access[]
  readonly expiresAt: Date | null
  readonly enabled: boolean
}

/** The change of a registry token; an absent field stays as it is. */
export type RegistryTokenChange = Partial<Omit<RegistryTokenPlan, 'name'>>

/** Plans a registry token that is created, or replaced as a whole. Without scopes it may do nothing yet. */
export function planRegistryToken(
  given: RegistryTokenInput,
  nowMs: number,
): { plan: RegistryTokenPlan } | { fault: FieldFault } {
  const { name, expiryDate = null, status = 'enabled' } = given
  const expiry = parseFutureExpiry(expiryDate, nowMs)
  if ('fault' in expiry) return expiry
  const { expiresAt } = expiry
  return { plan: { name, scopes: toScopes(given.scopes ?? []), expiresAt, enabled: status === 'enabled' } }
}

/**
 * Plans a change. Null clears the expiry and leaves the scopes as they are. A past expiry ends the registry token now.
 */
export function planRegistryTokenChange(
  given: RegistryTokenChangeInput,
): { change: RegistryTokenChange } | { fault: FieldFault } {
  const { expiryDate, scopes, status } = given
  const expiry = expiryDate === undefined ? undefined : parseExpiry(expiryDate)
  if (expiry && 'fault' in expiry) return expiry
  return {
    change: {
      ...expiry,
      ...(scopes && { scopes: toScopes(scopes) }),
      ...(status !== undefined && { enabled: status === 'enabled' }),
    },
  }
}

/** Whether a change ends issued access tokens: it does if it touches their access or their life. */
export function endsAccessTokens(current: RegistryToken, change: RegistryTokenChange): boolean {
  const { enabled = current.enabled, expiresAt = current.expiresAt, scopes = current.scopes } = change
  return (
    enabled !== current.enabled ||
    expiresAt?.getTime() !== current.expiresAt?.getTime() ||
    formatScope(scopes) !== formatScope(current.scopes)
  )
}

/**
 * Whether a rotation ends issued access tokens. With a long enough overlap it need not: access tokens and credential
 * caches of the old password last for `accessTokenWindowMs` at the most.
 */
export function rotationEndsAccessTokens(
  previousWorks: boolean,
  overlapMs: number,
  accessTokenWindowMs: number,
): boolean {
  return previousWorks || overlapMs < accessTokenWindowMs
}
