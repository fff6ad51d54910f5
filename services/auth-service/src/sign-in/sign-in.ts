import type { Account } from '../principals/account.ts'
import type { PersonalTokenPrincipal } from '../principals/personal-token.ts'
import type { RegistryToken } from '../principals/registry-token.ts'
import type { ForeignTokenFault, Workload } from '../principals/workload.ts'
import { clientNetwork } from './client-address.ts'

export type SignIn =
  /** `offline`: the database is unavailable, and the account is as it was at its last sign-in. */
  | { readonly outcome: 'account'; readonly account: Account; readonly offline: boolean }
  /** `notAfter`: when the registry token or its password expires, in seconds since the epoch; `offline` as above. */
  | {
      readonly outcome: 'registry-token'
      readonly registryToken: RegistryToken
      readonly notAfter: number | undefined
      readonly offline: boolean
    }
  /** `notAfter`: when the personal token expires; `offline` as above. */
  | {
      readonly outcome: 'personal-token'
      readonly account: PersonalTokenPrincipal
      readonly notAfter: number | undefined
      readonly offline: boolean
    }
  /** `notAfter`: when the token of the other issuer expires, in seconds since the epoch; `offline` as above. */
  | {
      readonly outcome: 'workload'
      readonly workload: Workload
      readonly notAfter: number
      readonly offline: boolean
    }
  /**
   * `fault`: why a token of another issuer is refused, or that a condition of a personal or registry token does not
   * hold. `condition`: the condition that does not hold, in words.
   */
  | {
      readonly outcome: 'refused'
      readonly fault?: ForeignTokenFault | 'token-conditions'
      readonly condition?: string
    }
  | { readonly outcome: 'throttled'; readonly retryAfterSeconds: number }
  | { readonly outcome: 'unavailable'; readonly dependency: SignInDependency }

/** A sign-in that identified no principal. */
export type FailedSignIn = Extract<SignIn, { outcome: 'refused' | 'throttled' | 'unavailable' }>

/**
 * `current`: the account is read from the database. `recent`: credentials that were verified within `RECENT_MS` are
 * enough while the revocation list confirms the account. Use it for access tokens only: they carry the generation of
 * their account, which every service compares with the revocation list.
 */
export type Freshness = 'current' | 'recent'

/** Time for which verified credentials are not looked up again for an access token, in milliseconds. */
export const RECENT_MS = 60_000

/** The dependencies that verify a sign-in. */
export type SignInDependency = 'database' | 'directory' | 'token-issuer'

/** One kind of credentials that come as a name and a password, such as those of registry tokens or of users. */
export interface SignInMethod {
  /** Whether the credentials are of this kind. The first method that accepts them decides alone. */
  accepts(username: string, password: string): boolean
  signIn(username: string, password: string, address: string, freshness: Freshness): Promise<SignIn>
}

export interface SignInService {
  /** `freshness` is `current` when left out. */
  withPassword(username: string, password: string, address: string, freshness?: Freshness): Promise<SignIn>
  /** For an access token: a refresh token that was verified within `RECENT_MS` is not looked up again. */
  withRefreshToken(token: string, service: string, address: string): Promise<SignIn>
  /** Caches a new refresh token as if it had been used once, so that it works while the database is unavailable. */
  rememberRefreshToken(token: string, service: string, account: Account): void
}

/** Counts refusals of a method by the client's network. For random secrets, which need no limit per account. */
export function countRefusals(
  method: SignInMethod,
  refuse: (client: string) => Promise<SignIn>,
): SignInMethod {
  return {
    accepts: method.accepts,
    async signIn(username, password, address, freshness) {
      const result = await method.signIn(username, password, address, freshness)
      if (result.outcome !== 'refused') return result
      const counted = await refuse(clientNetwork(address))
      return counted.outcome === 'refused' ? result : counted
    },
  }
}

/** Signs in with the first of the methods that accepts the credentials. */
export function createSignIn(
  methods: readonly SignInMethod[],
  refreshTokens: Pick<SignInService, 'withRefreshToken' | 'rememberRefreshToken'>,
): SignInService {
  return {
    ...refreshTokens,
    async withPassword(username, password, address, freshness = 'current') {
      const method = methods.find((candidate) => candidate.accepts(username, password))
      return method === undefined
        ? { outcome: 'refused' }
        : method.signIn(username, password, address, freshness)
    },
  }
}
