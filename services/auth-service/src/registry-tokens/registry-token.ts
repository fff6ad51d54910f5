import type { Access } from '@registry-manager/oci'

/** A registry token: credentials of a machine, which permit exactly what their scopes say. */
export interface RegistryToken {
  readonly id: string
  /** Its name, as it was given. */
  readonly username: string
  readonly enabled: boolean
  /** Their names are patterns of repositories. */
  readonly scopes: readonly Access[]
  /** From this second on it is refused; null for never. */
  readonly expiresAt: Date | null
  /** As an account's: raised by what must end everything that was issued before. */
  readonly generation: number
}

/** One of a token's passwords, as it is stored. */
export interface StoredSecret {
  /** SHA-256 of the password. */
  readonly hash: Buffer
  /** When it ceases to work; null for when the token does. */
  readonly until: Date | null
}

/** A registry token with what its password is checked against. */
export interface StoredRegistryToken extends RegistryToken {
  readonly secrets: readonly StoredSecret[]
}

/** Who did something. */
export interface Actor {
  readonly id: string
  readonly username: string
}

/** A registry token as those see it who manage it. */
export interface ManagedToken extends RegistryToken {
  readonly createdAt: Date
  readonly createdBy: Actor
  readonly modified: { readonly at: Date; readonly by: Actor } | undefined
  readonly lastUsed: { readonly at: Date; readonly address: string } | undefined
}

/** Source: the provider's public SDKs, `PostTokenProperties`. */
const NAME = /^[A-Za-z][-A-Za-z0-9]{0,61}[A-Za-z0-9]$/

export function isTokenName(text: string): boolean {
  return NAME.test(text)
}

/** Whether a time is there: null never is. */
export function isPast(time: Date | null, nowMs: number): boolean {
  return time !== null && time.getTime() <= nowMs
}

/** What somebody who looks at a token needs to know first. */
export function stateOf({ enabled, expiresAt }: RegistryToken, nowMs: number) {
  if (!enabled) return 'disabled'
  return isPast(expiresAt, nowMs) ? 'expired' : 'enabled'
}
