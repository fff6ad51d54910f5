import type { ConditionContext } from '@registry-manager/principal'
import { conditionFault } from '@registry-manager/principal'
import type { JWTVerifyGetKey } from 'jose'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { LRUCache } from 'lru-cache'
import { parseJsonWebToken } from '../principals/json-web-token.ts'
import type { ForeignTokenFault, Workload, WorkloadRule } from '../principals/workload.ts'
import { makeWorkload } from '../principals/workload.ts'
import type { Freshness, SignIn, SignInMethod } from '../sign-in/sign-in.ts'
import type { Verified, VerifiedSecretsPorts } from '../sign-in/verified-secrets.ts'
import { signInWithSecret } from '../sign-in/verified-secrets.ts'
import type { FindIssuerKey } from './issuer-keys.ts'
import { IssuerUnavailable } from './issuer-keys.ts'
import { matchesClaims } from './match-claims.ts'
import type { ForeignClaims } from './read-foreign-token.ts'
import { ALGORITHMS, CLOCK_SKEW_SECONDS, readForeignToken } from './read-foreign-token.ts'
import type { TrustRule } from './trust-rule.ts'

/** A token that was verified, with the rules that accepted it. */
export interface VerifiedWorkload extends Verified {
  readonly workload: Workload
}

export interface WorkloadSignInPorts extends VerifiedSecretsPorts<VerifiedWorkload> {
  /** `iss` of our own access tokens, which are no foreign ones. */
  readonly ownIssuer: string
  /** The trust rules for an issuer and any of some audiences, the oldest first. */
  findRules(issuer: string, audiences: readonly string[]): Promise<readonly TrustRule[]>
  readonly findIssuerKey: FindIssuerKey
}

/**
 * Maximum number of rules that accept one token; further rules are ignored. This bounds the length of access tokens and
 * the cost of a sign-in.
 */
const MAX_ACCEPTING_RULES = 16
/** Maximum number of rules whose own keys are cached in parsed form. */
const MAX_KEY_SETS = 200

/**
 * Signs workloads in with tokens of other issuers (OpenID Connect ID tokens and the like), which come as a password
 * beside any username. The access is that of all trust rules that accept the token. A verified token is not verified
 * again for a minute while the revocation list confirms its rules; while the database is unavailable it permits pulls.
 */
export function createWorkloadSignIn(ports: WorkloadSignInPorts): SignInMethod {
  const { ownIssuer, findRules, findIssuerKey, now } = ports
  const keySets = new LRUCache<string, JWTVerifyGetKey>({ max: MAX_KEY_SETS })

  /** Refuses a workload if the conditions of no rule hold. */
  const accept = (
    { workload }: VerifiedWorkload,
    { expiresAt }: ForeignClaims,
    address: string,
    offline: boolean,
  ): SignIn => {
    const condition = unmetCondition(workload.rules, { address, now: now() })
    if (condition !== undefined) return { outcome: 'refused', fault: 'conditions', condition }
    return { outcome: 'workload', workload, notAfter: expiresAt, offline }
  }

  /** The keys that a rule itself has. A change of the rule raises its generation. */
  const ownKeys = ({ id, generation, jwks = { keys: [] } }: TrustRule): JWTVerifyGetKey => {
    const key = `${id} ${generation}`
    const known = keySets.get(key) ?? createLocalJWKSet(jwks)
    keySets.set(key, known)
    return known
  }

  /** The rules whose issuer has signed the token. Throws IssuerUnavailable if it is unknown whether there are any. */
  const findSigned = async (
    token: string,
    keyId: string | undefined,
    rules: readonly TrustRule[],
  ): Promise<readonly TrustRule[]> => {
    const isSignedBy = (getKey: JWTVerifyGetKey) => verifySignature(token, getKey, now())
    const published = rules.find(({ jwks }) => jwks === undefined)
    // A rule whose issuer is unavailable must not refuse tokens that another rule accepts.
    const isPublished = await Promise.resolve(published && findIssuerKey(published.issuer, keyId)).then(
      (getKey) => getKey !== undefined && isSignedBy(getKey),
      (error: unknown) => {
        if (error instanceof IssuerUnavailable) return error
        throw error
      },
    )
    const signed: TrustRule[] = []
    for (const rule of rules) {
      const isSigned = rule.jwks === undefined ? isPublished === true : await isSignedBy(ownKeys(rule))
      if (isSigned) signed.push(rule)
    }
    if (signed.length === 0 && isPublished instanceof IssuerUnavailable) throw isPublished
    return signed
  }

  const verify = async (
    token: string,
    keyId: unknown,
    payload: Readonly<Record<string, unknown>>,
    { issuer, audiences, subject }: ForeignClaims,
  ): Promise<VerifiedWorkload | { readonly fault: ForeignTokenFault }> => {
    const readAt = now()
    const rules = await findRules(issuer, audiences)
    const matching = rules.filter(({ claims }) => matchesClaims(claims, payload))
    const candidates = interleaveNamespaces(matching.length > 0 ? matching : rules).slice(
      0,
      MAX_ACCEPTING_RULES,
    )
    const signed = await findSigned(token, typeof keyId === 'string' ? keyId : undefined, candidates)
    const [first, ...rest] = signed.map(toWorkloadRule)
    if (first === undefined) return { fault: 'untrusted' }
    if (matching.length === 0) return { fault: 'no-matching-rule' }
    return { workload: makeWorkload([first, ...rest], subject), readAt }
  }

  const signIn = async (token: string, address: string, freshness: Freshness): Promise<SignIn> => {
    const parsed = parseJsonWebToken(token)
    if (parsed === undefined) return { outcome: 'refused' }
    const claims = readForeignToken(parsed, now())
    if ('fault' in claims) return { outcome: 'refused', ...claims }
    return signInWithSecret<VerifiedWorkload>(ports, {
      credentials: ['foreign-token', token],
      freshness,
      async verify() {
        try {
          const verified = await verify(token, parsed.header['kid'], parsed.payload, claims)
          return 'fault' in verified ? { outcome: 'refused', ...verified } : verified
        } catch (error) {
          if (!(error instanceof IssuerUnavailable)) throw error
          return { outcome: 'unavailable', dependency: 'token-issuer' }
        }
      },
      revocablesOf: ({ workload }) => workload.rules,
      accept: (verified, offline) => accept(verified, claims, address, offline),
    })
  }

  return {
    accepts: (_username, password) => {
      const token = parseJsonWebToken(password)
      return token !== undefined && token.payload['iss'] !== ownIssuer
    },
    signIn: (_username, password, address, freshness) => signIn(password, address, freshness),
  }
}

/** Whether one of the keys has signed a token. Every error means that the token or the key is invalid. */
async function verifySignature(token: string, getKey: JWTVerifyGetKey, nowMs: number): Promise<boolean> {
  const options = {
    algorithms: [...ALGORITHMS],
    currentDate: new Date(nowMs),
    clockTolerance: CLOCK_SKEW_SECONDS,
  }
  return jwtVerify(token, getKey, options).then(
    () => true,
    () => false,
  )
}

/** The condition of the first rule that does not hold; undefined if the conditions of at least one rule hold. */
function unmetCondition(rules: readonly WorkloadRule[], context: ConditionContext): string | undefined {
  const faults = rules.map(({ conditions = {} }) => conditionFault(conditions, context)?.detail)
  return faults.includes(undefined) ? undefined : faults[0]
}

/** A trust rule as a part of a principal. */
export function toWorkloadRule(rule: TrustRule): WorkloadRule {
  const { id, generation, namespace, name, scopes, conditions } = rule
  return { id, generation, name: `${namespace}/${name}`, scopes, conditions }
}

/**
 * The first rule of each namespace, then the second of each, and so on: the rules of one namespace cannot displace
 * those of others.
 */
function interleaveNamespaces(rules: readonly TrustRule[]): TrustRule[] {
  const places = new Map<string, number>()
  const placed = rules.map((rule) => {
    const place = places.get(rule.namespace) ?? 0
    places.set(rule.namespace, place + 1)
    return { rule, place }
  })
  return placed.toSorted((one, other) => one.place - other.place).map(({ rule }) => rule)
}
