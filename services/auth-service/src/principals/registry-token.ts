import type { Access } from '@registry-manager/oci'
import type { Conditions, EffectiveGrant } from '@registry-manager/principal'

/** A registry token: a machine's credential, which permits exactly the access of its scopes and grants. */
export interface RegistryToken {
  readonly id: string
  /** The name as it was given. */
  readonly username: string
  readonly enabled: boolean
  /** The names in scopes are repository patterns. */
  readonly scopes: readonly Access[]
  readonly grants: readonly EffectiveGrant[]
  /** The registry token is refused from this second on; null for never. */
  readonly expiresAt: Date | null
  /** It permits nothing unless they hold. Absent for none. */
  readonly conditions?: Conditions | undefined
  /** Like an account's: a change that ends issued access tokens raises it. */
  readonly generation: number
}

/** One of a registry token's passwords, as it is stored. */
export interface StoredSecret {
  /** SHA-256 of the password. */
  readonly hash: Buffer
  /** The password is refused from this time on; null for one that lasts as long as its registry token. */
  readonly until: Date | null
}

/** A registry token with its stored passwords. */
export interface StoredRegistryToken extends RegistryToken {
  readonly secrets: readonly StoredSecret[]
}

/** The principal that made a change. */
export interface PrincipalName {
  readonly id: string
  readonly username: string
}

/** A registry token as its management API shows it. */
export interface ManagedRegistryToken extends RegistryToken {
  readonly createdAt: Date
  readonly createdBy: PrincipalName
  readonly modified: { readonly at: Date; readonly by: PrincipalName } | undefined
  readonly lastUsed: { readonly at: Date; readonly address: string } | undefined
}

/** Source: the provider's public SDKs, `PostTokenProperties`. */
export const REGISTRY_TOKEN_NAME = /^[A-Za-z][-A-Za-z0-9]{0,61}[A-Za-z0-9]$/

export function isRegistryTokenName(text: string): boolean {
  return REGISTRY_TOKEN_NAME.test(text)
}

/** Whether a time was reached; null never is. */
export function isPast(time: Date | null, nowMs: number): boolean {
  return time !== null && time.getTime() <= nowMs
}

/** `disabled` wins over `expired`: it is the state that an administrator chose. */
export function stateOf({ enabled, expiresAt }: RegistryToken, nowMs: number) {
  if (!enabled) return 'disabled'
  return isPast(expiresAt, nowMs) ? 'expired' : 'enabled'
}
