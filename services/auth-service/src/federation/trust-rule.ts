import type { Access } from '@registry-manager/oci'
import type { Conditions } from '@registry-manager/principal'
import type { JSONWebKeySet } from 'jose'

/** The fields of a trust rule: the tokens of another issuer that it accepts, and the access that they get. */
export interface TrustRuleFields {
  /** Unique in its namespace. */
  readonly name: string
  /** `iss` of the tokens, exactly. */
  readonly issuer: string
  /** `aud` of the tokens, or one of several, exactly. */
  readonly audience: string
  /** Patterns of claims, by the claims' names. A token must have all of them. */
  readonly claims: Readonly<Record<string, string>>
  /** The names in scopes are repository patterns within the namespace. */
  readonly scopes: readonly Access[]
  readonly conditions: Conditions | undefined
  /** The issuer's public keys, if auth-service cannot get them from the issuer; undefined otherwise. */
  readonly jwks: JSONWebKeySet | undefined
}

/** A stored trust rule. */
export interface TrustRule extends TrustRuleFields {
  readonly id: string
  readonly namespace: string
  /** Raised by every change; access tokens from before it are revoked. */
  readonly generation: number
  readonly createdAt: Date
  /** The username of the account that created the rule. */
  readonly createdBy: string
  readonly updatedAt: Date
}
