import type { Access } from '@registry-manager/oci'
import { formatScope } from '@registry-manager/oci'
import type { RegistryToken } from './registry-token.ts'
import { isTokenName } from './registry-token.ts'
import type { GivenScope } from './token-scope.ts'
import { parseTokenScopes } from './token-scope.ts'
import type { FieldFault } from './user-input.ts'

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

/** Plans a token that is made, or replaced as a whole. */
export function planNewToken(given: GivenToken): { plan: TokenPlan } | { fault: FieldFault } {
  const { name, expiryDate = null, status = 'enabled' } = given
  if (!isTokenName(name)) {
    const detail = 'must be 2 to 63 letters, digits or -, begin with a letter, and not end with -'
    return { fault: { field: 'name', detail } }
  }
  const parsed = parseTokenScopes(given.scopes)
  if ('fault' in parsed) return parsed
  return {
    plan: { name, scopes: parsed.scopes, expiresAt: parseExpiry(expiryDate), enabled: status === 'enabled' },
  }
}

/** Plans a change: null clears the expiry, and says nothing about scopes. */
export function planTokenChange(given: GivenTokenChange): { change: TokenChange } | { fault: FieldFault } {
  const { expiryDate, scopes, status } = given
  const parsed = scopes ? parseTokenScopes(scopes) : undefined
  if (parsed && 'fault' in parsed) return parsed
  return {
    change: {
      ...(expiryDate !== undefined && { expiresAt: parseExpiry(expiryDate) }),
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

/** In whole seconds, as JWTs count. */
function parseExpiry(text: string | null): Date | null {
  return text === null ? null : new Date(Math.floor(Date.parse(text) / 1000) * 1000)
}
