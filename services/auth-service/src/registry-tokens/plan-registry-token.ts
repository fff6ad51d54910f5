import type { FieldFault } from '@registry-manager/http'
import type { Access } from '@registry-manager/oci'
import { formatScope } from '@registry-manager/oci'
import type { Conditions } from '@registry-manager/principal'
import type { Static } from 'typebox'
import type { ConditionsInput } from '../access/conditions.ts'
import { areSameConditions, parseConditions } from '../access/conditions.ts'
import type { RegistryToken } from '../principals/registry-token.ts'
import { parseExpiry, parseFutureExpiry } from '../principals/expiry.ts'
import { toScopes } from '../principals/scope.ts'

/** The fields of a request that changes a registry token; an absent field stays as it is. */
export interface RegistryTokenChangeInput {
  /** RFC 3339; null for never. */
  readonly expiryDate?: string | null
  readonly scopes?: readonly Access[] | null
  readonly status?: 'enabled' | 'disabled'
  /** Null for none. */
  readonly conditions?: Static<typeof ConditionsInput> | null
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
  /** Null for none. */
  readonly conditions: Conditions | null
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
  const parsed = parseConditions(given.conditions ?? undefined)
  if ('fault' in parsed) return parsed
  const { expiresAt } = expiry
  const scopes = toScopes(given.scopes ?? [])
  const conditions = parsed.conditions ?? null
  return { plan: { name, scopes, expiresAt, enabled: status === 'enabled', conditions } }
}

/**
 * Plans a change. Null clears the expiry and the conditions, and leaves the scopes as they are. A past expiry ends the
 * registry token now.
 */
export function planRegistryTokenChange(
  given: RegistryTokenChangeInput,
): { change: RegistryTokenChange } | { fault: FieldFault } {
  const { expiryDate, scopes, status, conditions } = given
  const expiry = expiryDate === undefined ? undefined : parseExpiry(expiryDate)
  if (expiry && 'fault' in expiry) return expiry
  const parsed = conditions === undefined ? undefined : parseConditions(conditions ?? undefined)
  if (parsed && 'fault' in parsed) return parsed
  return {
    change: {
      ...expiry,
      ...(parsed && { conditions: parsed.conditions ?? null }),
      ...(scopes && { scopes: toScopes(scopes) }),
      ...(status !== undefined && { enabled: status === 'enabled' }),
    },
  }
}

/** Whether a change ends issued access tokens: a change of their access or of their lifetime does. */
export function endsAccessTokens(current: RegistryToken, change: RegistryTokenChange): boolean {
  const { enabled = current.enabled, expiresAt = current.expiresAt, scopes = current.scopes } = change
  const { conditions = current.conditions } = change
  return (
    !areSameConditions(conditions ?? undefined, current.conditions) ||
    enabled !== current.enabled ||
    expiresAt?.getTime() !== current.expiresAt?.getTime() ||
    formatScope(scopes) !== formatScope(current.scopes)
  )
}

/**
 * Whether a rotation ends issued access tokens. With a long enough overlap it need not: access tokens and credential
 * caches of the old password last for at most `accessTokenWindowMs`.
 */
export function rotationEndsAccessTokens(
  previousWorks: boolean,
  overlapMs: number,
  accessTokenWindowMs: number,
): boolean {
  return previousWorks || overlapMs < accessTokenWindowMs
}
