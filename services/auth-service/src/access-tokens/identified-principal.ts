import type { AccountPrincipal } from '../principals/principal.ts'
import type { FailedSignIn, SignIn } from '../sign-in/sign-in.ts'

/** A principal that proved its identity, and the limits of the tokens that it gets. */
export interface IdentifiedPrincipal {
  readonly principal: AccountPrincipal
  /** The database is unavailable, and the principal comes from the credential cache. */
  readonly offline: boolean
  /** Seconds since the epoch. */
  readonly notAfter?: number | undefined
  /** The refresh token that proved the identity. */
  readonly refreshToken?: string
  readonly isAnonymous?: true
}

export function toIdentified(signIn: SignIn): IdentifiedPrincipal | FailedSignIn {
  switch (signIn.outcome) {
    case 'account':
      return { principal: signIn.account, offline: signIn.offline }
    case 'personal-token':
      return { principal: signIn.account, offline: signIn.offline, notAfter: signIn.notAfter }
    case 'registry-token':
      return { principal: signIn.registryToken, offline: signIn.offline, notAfter: signIn.notAfter }
    case 'workload':
      return { principal: signIn.workload, offline: signIn.offline, notAfter: signIn.notAfter }
    default:
      return signIn
  }
}
