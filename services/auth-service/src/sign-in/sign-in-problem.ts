import { ProblemError, describeUnavailable, unavailable } from '@registry-manager/http'
import type { Account } from '../accounts/account.ts'
import type { Principal } from '../registry-tokens/registry-token.ts'
import type { SignIn } from './sign-in.ts'

/** 401 with a Basic challenge. Source: RFC 7617 §2. */
export function unauthorized(realm: string, detail = 'sign in with a username and a password'): ProblemError {
  const headers = { 'www-authenticate': `Basic realm="${realm}", charset="UTF-8"` }
  return new ProblemError({ status: 401, detail, headers })
}

/** Registry tokens work on images; what people do is not for them. */
export function forPeopleOnly(): ProblemError {
  return new ProblemError({ status: 403, detail: 'registry tokens may not do this: sign in as a user' })
}

/** The person that a sign-in found; any other outcome is thrown as the problem it is. */
export function accountOrProblem(signIn: SignIn, realm: string): Account {
  if (signIn.outcome === 'token') throw forPeopleOnly()
  if (signIn.outcome === 'account') return signIn.account
  throw signInProblem(signIn, realm)
}

export interface FoundHolder {
  readonly account: Principal
  readonly offline: boolean
  /** Seconds since the epoch. */
  readonly notAfter?: number | undefined
}

/** The person or registry token that a sign-in found; any other outcome is thrown as the problem it is. */
export function holderOrProblem(signIn: SignIn, realm: string): FoundHolder {
  if (signIn.outcome === 'account') return signIn
  if (signIn.outcome === 'token') return { ...signIn, account: signIn.token }
  throw signInProblem(signIn, realm)
}

export function signInProblem(
  signIn: Exclude<SignIn, { outcome: 'account' | 'token' }>,
  realm: string,
): ProblemError {
  switch (signIn.outcome) {
    case 'refused':
      return unauthorized(realm, 'the username or the password is wrong')
    case 'throttled': {
      const headers = { 'retry-after': String(signIn.retryAfterSeconds) }
      return new ProblemError({ status: 429, detail: 'too many failed sign-ins: try again later', headers })
    }
    case 'unavailable':
      return unavailable(describeUnavailable(signIn.dependency))
  }
}
