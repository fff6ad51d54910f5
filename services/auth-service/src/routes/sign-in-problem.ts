import { ProblemError, unavailable } from '@registry-manager/service-kit'
import type { Account } from '../domain/account.ts'
import type { SignIn } from '../domain/sign-in.ts'

/** 401 with a Basic challenge. Source: RFC 7617 §2. */
export function unauthorized(realm: string, detail = 'sign in with a username and a password'): ProblemError {
  const headers = { 'www-authenticate': `Basic realm="${realm}", charset="UTF-8"` }
  return new ProblemError({ status: 401, detail, headers })
}

/** The account that a sign-in found; any other outcome is thrown as the problem it is. */
export function accountOrProblem(signIn: SignIn, realm: string): { account: Account; offline: boolean } {
  switch (signIn.outcome) {
    case 'account':
      return signIn
    case 'refused':
      throw unauthorized(realm, 'the username or the password is wrong')
    case 'throttled': {
      const headers = { 'retry-after': String(signIn.retryAfterSeconds) }
      throw new ProblemError({ status: 429, detail: 'too many failed sign-ins: try again later', headers })
    }
    case 'unavailable':
      throw unavailable(`${signIn.part} is not answering`)
  }
}
