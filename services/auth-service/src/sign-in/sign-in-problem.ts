import { ProblemError, describeUnavailable, unavailable } from '@registry-manager/http'
import type { ConditionContext, Conditions } from '@registry-manager/principal'
import { conditionFault, describeThrottled } from '@registry-manager/principal'
import type { Account } from '../principals/account.ts'
import { FOREIGN_TOKEN_FAULTS } from '../principals/workload.ts'
import type { FailedSignIn, SignIn } from './sign-in.ts'

/** 401 with a Basic challenge. Source: RFC 7617 §2. */
export function unauthorized(realm: string, detail = 'sign in with a username and a password'): ProblemError {
  const headers = { 'www-authenticate': `Basic realm="${realm}", charset="UTF-8"` }
  return new ProblemError({ status: 401, detail, help: SIGN_IN, headers })
}

const SIGN_IN =
  'send the username and the password of a user, or the name and the password of a registry token'

/**
 * 401 for the cookie of a session that has ended. The challenge is Bearer: at a Basic challenge a browser would ask for
 * a password in a window of its own. Source: RFC 6750 §3.
 */
export function sessionEnded(realm: string): ProblemError {
  const headers = { 'www-authenticate': `Bearer realm="${realm}"` }
  return new ProblemError({ status: 401, detail: 'the browser session has ended; sign in again', headers })
}

/** 403 for registry tokens and workloads where only users are allowed. */
export function forUsersOnly(kind: 'registry tokens' | 'workloads' = 'registry tokens'): ProblemError {
  return new ProblemError({ status: 403, detail: `${kind} are not allowed here; sign in as a user` })
}

/**
 * 403 where a personal token is not accepted: users must sign in themselves, or its scopes limit it to repositories.
 */
export function notByPersonalToken(detail: string): ProblemError {
  return new ProblemError({ status: 403, detail })
}

/** The user who signed in with a password. Throws any other outcome as a problem. */
export function accountOrProblem(signIn: SignIn, realm: string): Account {
  if (signIn.outcome === 'registry-token') throw forUsersOnly()
  if (signIn.outcome === 'workload') throw forUsersOnly('workloads')
  if (signIn.outcome === 'personal-token')
    throw notByPersonalToken('a personal token is not accepted here; sign in with your password')
  if (signIn.outcome === 'account') return signIn.account
  throw signInProblem(signIn, realm)
}

const TOKEN_CONDITIONS = 'the token may not be used under these conditions'

/**
 * The reason why credentials are refused although they are right, or are a token of another issuer; undefined for
 * others.
 */
export function describeRefused({
  fault,
  condition,
}: Extract<SignIn, { outcome: 'refused' }>): string | undefined {
  if (fault === undefined) return undefined
  const detail = fault === 'token-conditions' ? TOKEN_CONDITIONS : FOREIGN_TOKEN_FAULTS[fault]
  return condition === undefined ? detail : `${detail}: ${condition}`
}

/** The result of a sign-in with a token, one of whose conditions does not hold. */
export function refusedByCondition(
  conditions: Conditions | undefined,
  context: ConditionContext,
): Extract<SignIn, { outcome: 'refused' }> | undefined {
  const fault = conditionFault(conditions ?? {}, context)
  return fault && { outcome: 'refused', fault: 'token-conditions', condition: fault.detail }
}

/** The problem of a sign-in that failed. */
export function signInProblem(signIn: FailedSignIn, realm: string): ProblemError {
  switch (signIn.outcome) {
    case 'refused':
      return unauthorized(realm, describeRefused(signIn) ?? 'the username or the password is wrong')
    case 'throttled': {
      const headers = { 'retry-after': String(signIn.retryAfterSeconds) }
      return new ProblemError({ status: 429, detail: describeThrottled(signIn.retryAfterSeconds), headers })
    }
    case 'unavailable':
      return unavailable(describeUnavailable(signIn.dependency))
  }
}
