import { setRequestPrincipal } from '@registry-manager/http'
import type { Access } from '@registry-manager/oci'
import { namedPrincipal } from '../principals/principal.ts'
import type { FailedSignIn, Freshness, SignIn } from '../sign-in/sign-in.ts'
import { toIdentified } from './identified-principal.ts'
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
    const identified = toIdentified(await signIn.withPassword(username, password, address, freshness))
    if ('outcome' in identified) return identified
    const { principal, offline, notAfter } = identified
    setRequestPrincipal(namedPrincipal(principal))
    const issued = await issuer.forPrincipal({ principal, offline, notAfter, scopes, address })
    return { outcome: 'issued', issued, offline }
  }
}
