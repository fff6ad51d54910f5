import type { FieldFault } from '@registry-manager/http'
import type { Access } from '@registry-manager/oci'
import { isPatternWithin } from '@registry-manager/oci'
import type { JSONWebKeySet } from 'jose'
import type { Static } from 'typebox'
import type { ConditionsInput } from '../access/conditions.ts'
import { parseConditions } from '../access/conditions.ts'
import { toScopes } from '../principals/scope.ts'
import { issuerFault } from './issuer-url.ts'
import { parseKeySet } from './json-web-key-set.ts'
import { sharedIssuerFault } from './shared-issuers.ts'
import type { TrustRuleFields } from './trust-rule.ts'

/** A trust rule as a request has it, validated by its schema. */
export interface TrustRuleInput {
  readonly name: string
  readonly issuer: string
  readonly audience: string
  readonly claims: Readonly<Record<string, string>>
  readonly scopes: readonly Access[]
  readonly conditions?: Static<typeof ConditionsInput> | null
  readonly jwks?: { readonly keys: readonly object[] } | null
}

export type PlannedTrustRule = { readonly plan: TrustRuleFields } | { readonly fault: FieldFault }

/**
 * Plans a trust rule of a namespace. `privateOrigins` are the origins of issuers that may have private addresses and
 * may use http. The order of claims and actions has no meaning, so equal rules become equal plans.
 */
export function planTrustRule(
  namespace: string,
  given: TrustRuleInput,
  privateOrigins: ReadonlySet<string>,
): PlannedTrustRule {
  const { name, issuer, audience, jwks: givenKeys } = given
  const fault = (field: string, detail: string) => ({ fault: { field, detail } })
  const keys = givenKeys ? readKeys(givenKeys) : { jwks: undefined }
  if ('fault' in keys) return fault('jwks', keys.fault)
  const wrongIssuer = issuerFault(issuer, keys.jwks === undefined ? privateOrigins : undefined)
  if (wrongIssuer !== undefined) return fault('issuer', wrongIssuer)
  const claims = Object.entries(given.claims).toSorted(([one], [other]) => (one < other ? -1 : 1))
  if (claims.every(([, pattern]) => /^\**$/.test(pattern))) {
    return fault('claims', 'must have a claim whose pattern is not only *')
  }
  const tooMany = sharedIssuerFault(issuer, given.claims)
  if (tooMany !== undefined) return fault('claims', tooMany)
  for (const [position, scope] of given.scopes.entries()) {
    if (isPatternWithin(namespace, scope.name)) continue
    return fault(`scopes.${position}.name`, `must be in the namespace ${namespace}, such as ${namespace}/*`)
  }
  const parsed = parseConditions(given.conditions ?? undefined)
  if ('fault' in parsed) return parsed
  const plan = { name, issuer, audience, claims: Object.fromEntries(claims), scopes: toScopes(given.scopes) }
  return { plan: { ...plan, ...parsed, ...keys } }
}

/** Whether two rules are equal. Both come from `planTrustRule`. */
export function isSameRule(one: TrustRuleFields, other: TrustRuleFields): boolean {
  return JSON.stringify(comparable(one)) === JSON.stringify(comparable(other))
}

function comparable({ name, issuer, audience, claims, scopes, conditions = {}, jwks }: TrustRuleFields) {
  return [
    name,
    issuer,
    audience,
    Object.entries(claims).toSorted(),
    toScopes(scopes),
    Object.entries(conditions).toSorted(),
    jwks && sortKeys(jwks),
  ]
}

/** Postgres' jsonb does not keep the order of members. */
function sortKeys({ keys }: JSONWebKeySet) {
  return keys.map((key) => Object.entries(key).toSorted())
}

function readKeys(given: {
  readonly keys: readonly object[]
}): { readonly jwks: JSONWebKeySet } | { readonly fault: string } {
  if (given.keys.some((key) => 'd' in key || 'k' in key)) return { fault: 'must have public keys only' }
  const parsed = parseKeySet(given)
  if ('fault' in parsed) return parsed
  return parsed.keys.length > 0 ? { jwks: parsed } : { fault: 'must have a key of the type RSA, EC or OKP' }
}
