import type { Access } from '@registry-manager/oci'
import { REPOSITORY_ACTIONS, permittedByScopes } from '@registry-manager/oci'
import type { Conditions, EffectiveGrant } from '@registry-manager/principal'

/** The state of a trust rule that access depends on. A change of the rule raises its generation. */
export interface RuleState {
  readonly id: string
  readonly generation: number
}

/** A trust rule that accepts a workload's token, and the access that it gives. */
export interface WorkloadRule extends RuleState {
  /** `NAMESPACE/RULE`. */
  readonly name: string
  /** The names in scopes are repository patterns. */
  readonly scopes: readonly Access[]
  readonly conditions?: Conditions | undefined
}

/** The holder of a token of another issuer. Id and generation are those of its first trust rule. */
export interface Workload extends RuleState {
  /** `workload:NAMESPACE/RULE`. No user can have such a name. */
  readonly username: string
  /** The first rule and the subject of the token, for logs and events. */
  readonly name: string
  readonly enabled: true
  /** The `sub` of the token. */
  readonly subject: string
  /** The scopes of all rules without conditions. */
  readonly scopes: readonly Access[]
  /** The scopes of all rules with conditions. */
  readonly grants: readonly EffectiveGrant[]
  /** The trust rules that accept the token; at least one. */
  readonly rules: readonly WorkloadRule[]
}

/** Events, logs and headers have the name. */
const MAX_NAME_LENGTH = 200
/** Control characters, invisible characters and line separators, which could imitate other lines of a log. */
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}]/gu

/** Makes the principal of a token with this `sub` that some trust rules accept. */
export function makeWorkload(
  rules: readonly [WorkloadRule, ...(readonly WorkloadRule[])],
  subject: string,
): Workload {
  const [{ id, generation, name }] = rules
  return {
    id,
    generation,
    username: `workload:${name}`,
    name: `${name} (${subject.replaceAll(INVISIBLE, '')})`.slice(0, MAX_NAME_LENGTH),
    enabled: true,
    subject,
    scopes: rules.flatMap(({ scopes, conditions }) => (conditions === undefined ? scopes : [])),
    grants: rules.flatMap(grantsOf),
    rules,
  }
}

function grantsOf({ id, scopes, conditions }: WorkloadRule): EffectiveGrant[] {
  if (conditions === undefined) return []
  return scopes.map(({ name: repositories, actions: given }) => {
    const actions = REPOSITORY_ACTIONS.filter((action) => given.includes(action))
    return { id, repositories, actions, conditions }
  })
}

/**
 * Limits a workload to the trust rules that a request for access needs, those that permit a requested push first. A
 * change of another rule then does not end the access token: rules of other namespaces may accept the same token.
 * Without a needed rule the first one remains, which permits none of the requested access. The catalog, and an identity
 * token (null), which is for lists, need all rules.
 */
export function limitToRequest(workload: Workload, requested: readonly Access[] | null): Workload {
  const isAbout = (action: string) => (rule: WorkloadRule) =>
    (requested ?? []).some(
      ({ type, name, actions }) =>
        type === 'repository' &&
        (actions.includes(action) || actions.includes('*')) &&
        permittedByScopes(rule.scopes, name).some((permitted) => permitted === action),
    )
  const needed = ['push', 'delete', 'pull'].flatMap((action) => workload.rules.filter(isAbout(action)))
  const isList = requested === null || requested.some(({ type }) => type === 'registry')
  const [first = workload.rules[0], ...rest] = new Set([...needed, ...(isList ? workload.rules : [])])
  return first === undefined ? workload : makeWorkload([first, ...rest], workload.subject)
}

/** The reason why a token of another issuer is refused. */
export type ForeignTokenFault =
  | 'algorithm'
  | 'claims'
  | 'expired'
  | 'not-yet-valid'
  | 'untrusted'
  | 'no-matching-rule'
  | 'conditions'

/**
 * The messages to clients about a refused token. Before the signature is verified, they reveal nothing about existing
 * trust rules.
 */
export const FOREIGN_TOKEN_FAULTS: Readonly<Record<ForeignTokenFault, string>> = {
  algorithm:
    'the JWT must be signed with RS256, PS256, ES256 (or their variants for SHA-384 and SHA-512) or EdDSA',
  claims: 'the JWT must have the claims iss, aud and exp; sub must be a string, and exp, iat and nbf numbers',
  expired: 'the JWT has expired; request a new one from its issuer',
  'not-yet-valid': 'the JWT is not valid yet; compare the clocks of its issuer and of this registry',
  untrusted: 'no trust rule accepts the issuer, the audience and the signature of the JWT',
  'no-matching-rule': 'the JWT is genuine, but its claims match no trust rule for its issuer and audience',
  conditions: 'a trust rule matches the JWT, but not under these conditions',
}
