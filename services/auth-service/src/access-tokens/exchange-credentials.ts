import { setRequestPrincipal } from '@registry-manager/http'
import type { Access } from '@registry-manager/oci'
import { namedPrincipal } from '../principals/principal.ts'
import type { FailedSignIn, Freshness, SignIn } from '../sign-in/sign-in.ts'
import type { IssuedAccessToken, PrincipalAccessRequest } from './issue-access-token.ts'

export interface ExchangeCredentialsPorts {
  readonly signIn: {
    withPassword(username: string, password: string, address: string, freshness: Freshness): Promise<SignIn>
  }
  readonly issuer: {
    forPrincipal(request: PrincipalAccessRequest): Promise<IssuedAccessToken>
  }
}

export interface ExchangeRequest {
  readonly username: string
  readonly password: string
  /** The client's address. */
  readonly address: string
  /** Null requests an identity token. */
  readonly access: readonly Access[] | null
}

export type Exchange =
  | { readonly outcome: 'issued'; readonly issued: IssuedAccessToken; readonly offline: boolean }
  | FailedSignIn

export type ExchangeCredentials = (request: ExchangeRequest) => Promise<Exchange>

/** Exchanges Basic credentials that registry-proxy received for an access token. */
export function createExchangeCredentials({ signIn, issuer }: ExchangeCredentialsPorts): ExchangeCredentials {
  return async ({ username, password, address, access: scopes }) => {
    const freshness = scopes === null ? 'current' : 'recent'
    const result = await signIn.withPassword(username, password, address, freshness)
    switch (result.outcome) {
      case 'account': {
        const { account, offline } = result
        setRequestPrincipal(namedPrincipal(account))
        const issued = await issuer.forPrincipal({ account, offline, scopes, address })
        return { outcome: 'issued', issued, offline }
      }
      case 'personal-token':
      case 'registry-token': {
        const { offline, notAfter } = result
        const account = result.outcome === 'registry-token' ? result.registryToken : result.account
        setRequestPrincipal(namedPrincipal(account))
        const issued = await issuer.forPrincipal({ account, offline, notAfter, scopes, address })
        return { outcome: 'issued', issued, offline }
      }
      case 'workload': {
        const { workload: account, offline, notAfter } = result
        setRequestPrincipal(namedPrincipal(account))
        const issued = await issuer.forPrincipal({ account, offline, notAfter, scopes, address })
        return { outcome: 'issued', issued, offline }
      }
      default:
        return result
    }
  }
}
