import type { EventDetail, NewEvent } from '@registry-manager/events'
import type { TrustRule } from './trust-rule.ts'

/** The fields of a trust rule that events describe, by the names of the API. */
function describe({ name, issuer, audience, claims, scopes, conditions, jwks }: TrustRule) {
  return {
    name,
    issuer,
    audience,
    claims,
    scopes: scopes.map(({ type, name, actions }) => ({ type, name, actions })),
    conditions: conditions ?? null,
    /** The keys are public, and long: their ids are enough. */
    jwks: jwks?.keys.map(({ kid }) => kid ?? null) ?? null,
  }
}

export function trustRuleCreated(rule: TrustRule): NewEvent {
  return { action: 'trust-rule.create', ...about(rule, describe(rule)) }
}

/** The detail has the fields that changed. */
export function trustRuleChanged(before: TrustRule, after: TrustRule): NewEvent {
  const [from, to] = [describe(before), describe(after)]
  const names = Object.keys(from) as (keyof typeof from)[]
  const changed = names.filter((name) => JSON.stringify(from[name]) !== JSON.stringify(to[name]))
  const detail = Object.fromEntries(changed.map((name) => [name, { from: from[name], to: to[name] }]))
  return { action: 'trust-rule.update', ...about(after, detail) }
}

export function trustRuleDeleted(rule: TrustRule): NewEvent {
  return { action: 'trust-rule.delete', ...about(rule, describe(rule)) }
}

function about({ id, namespace, name }: TrustRule, detail: EventDetail) {
  return { target: { kind: 'trust-rule', namespace, rule: name, id }, detail } as const
}
