import { setRequestPrincipal } from '@registry-manager/http'
import type { Credentials } from '@registry-manager/principal'
import { ANONYMOUS_UID } from '@registry-manager/principal'
import type { Account } from '../principals/account.ts'
import type { AccountPrincipal } from '../principals/principal.ts'
import { conditionsOf, isPersonalToken, isUser, namedPrincipal } from '../principals/principal.ts'
import type { FailedSignIn, Freshness, SignIn } from '../sign-in/sign-in.ts'
import { refusedByCondition } from '../sign-in/sign-in-problem.ts'
import type { IdentifiedPrincipal } from './identified-principal.ts'
import { toIdentified } from './identified-principal.ts'
import type { IssuedAccessToken, PrincipalAccessRequest } from './issue-access-token.ts'
import type { TokenRequest } from './token-request.ts'

export interface TokenEndpointPorts {
  /** The service that access tokens are made for. */
  readonly service: string
  /** Whether a client without credentials gets an access token. */
  readonly anonymousPull: boolean
  readonly signIn: {
    withPassword(username: string, password: string, address: string, freshness: Freshness): Promise<SignIn>
    withRefreshToken(token: string, service: string, address: string): Promise<SignIn>
    rememberRefreshToken(token: string, service: string, account: Account): void
  }
  /** Undefined for anything but a valid identity token. `expiresAt` is in seconds since the epoch. */
  findIdentity(
    token: string,
  ): Promise<{ readonly principal: AccountPrincipal; readonly expiresAt: number } | undefined>
  readonly issuer: {
    forPrincipal(request: PrincipalAccessRequest): Promise<IssuedAccessToken>
  }
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly refreshTokens: {
    issue(account: Account, service: string, clientId: string): Promise<string>
  }
}

export type TokenResult =
  | { readonly outcome: 'issued'; readonly issued: IssuedAccessToken; readonly refreshToken?: string }
  | { readonly outcome: 'no-credentials' }
  | { readonly outcome: 'bad-identity-token' }
  | FailedSignIn

export interface TokenEndpoint {
  /** A GET: the credentials are in the Authorization header. */
  withCredentials(request: TokenRequest, credentials: Credentials, address: string): Promise<TokenResult>
  /** An OAuth2 POST: the credentials are the request's grant. */
  withGrant(request: TokenRequest, address: string): Promise<TokenResult>
}

type Identified = IdentifiedPrincipal | Exclude<TokenResult, { outcome: 'issued' }>

/** The principal of a request without credentials. It may pull global repositories only. */
const ANONYMOUS: IdentifiedPrincipal = {
  principal: {
    id: ANONYMOUS_UID,
    username: '',
    directory: false,
    role: 'user',
    enabled: true,
    namespaces: [],
    grants: [],
    generation: 0,
    createdAt: new Date(0),
  },
  offline: false,
  isAnonymous: true,
}

/** Signs principals in and issues their access and refresh tokens. */
export function createTokenEndpoint(ports: TokenEndpointPorts): TokenEndpoint {
  const { service, signIn, issuer, refreshTokens } = ports

  const withPassword = async (
    { requestsRefreshToken, scopes }: TokenRequest,
    { username, password }: { readonly username: string; readonly password: string },
    address: string,
  ): Promise<Identified> => {
    // The account of a refresh token must exist, and an identity token of an old generation would be of no use.
    const freshness = requestsRefreshToken || scopes === null ? 'current' : 'recent'
    return toIdentified(await signIn.withPassword(username, password, address, freshness))
  }

  const identify = async (
    request: TokenRequest,
    credentials: Credentials,
    address: string,
  ): Promise<Identified> => {
    switch (credentials.kind) {
      case 'basic':
        return withPassword(request, credentials, address)
      case 'bearer': {
        // Access tokens from an identity token (seed 001, "Get JWT tokens") expire no later than it does, so the
        // exchange extends no rights.
        const identity = await ports.findIdentity(credentials.token)
        if (identity === undefined) return { outcome: 'bad-identity-token' }
        const refused = refusedByCondition(conditionsOf(identity.principal), { address, now: ports.now() })
        if (refused !== undefined) return refused
        return { principal: identity.principal, offline: false, notAfter: identity.expiresAt }
      }
      case 'none':
        return ports.anonymousPull ? ANONYMOUS : { outcome: 'no-credentials' }
      case 'malformed':
        return { outcome: 'no-credentials' }
    }
  }

  const issueRefreshToken = async (account: Account, clientId: string) => {
    const refreshToken = await refreshTokens.issue(account, service, clientId)
    signIn.rememberRefreshToken(refreshToken, service, account)
    return refreshToken
  }

  const issue = async (
    request: TokenRequest,
    identified: Identified,
    address: string,
  ): Promise<TokenResult> => {
    if ('outcome' in identified) return identified
    const { principal, offline, notAfter, isAnonymous = false } = identified
    if (!isAnonymous) setRequestPrincipal(namedPrincipal(principal))
    const issued = await issuer.forPrincipal({
      principal,
      offline,
      pullOnly: offline || isAnonymous,
      notAfter,
      scopes: request.scopes,
      address,
    })
    // A refresh token must not outlive the credential that it comes from: an identity token expires, a registry token
    // can be rotated, and a personal token deleted. These two need none: they are long-lived credentials themselves.
    const isTemporary = offline || isAnonymous || notAfter !== undefined
    if (!request.requestsRefreshToken || isTemporary) return { outcome: 'issued', issued }
    if (!isUser(principal) || isPersonalToken(principal)) return { outcome: 'issued', issued }
    const refreshToken = identified.refreshToken ?? (await issueRefreshToken(principal, request.clientId))
    return { outcome: 'issued', issued, refreshToken }
  }

  return {
    withCredentials: async (request, credentials, address) =>
      issue(request, await identify(request, credentials, address), address),

    async withGrant(request, address) {
      const { grant } = request
      if (grant?.type === 'token-exchange') {
        const credentials = { username: '', password: grant.subjectToken }
        return issue(request, await withPassword(request, credentials, address), address)
      }
      if (grant?.type !== 'refresh_token') {
        const identified = await withPassword(request, grant ?? { username: '', password: '' }, address)
        return issue(request, identified, address)
      }
      const { refreshToken } = grant
      const identified = toIdentified(await signIn.withRefreshToken(refreshToken, service, address))
      // A refresh token never yields an identity token. Otherwise the credential that docker stores would permit
      // everything that the password permits, including the management APIs. Clients that check their credentials by
      // GET /v2/ request no scope; an access token without access is enough.
      const scoped = { ...request, scopes: request.scopes ?? [] }
      return issue(scoped, 'outcome' in identified ? identified : { ...identified, refreshToken }, address)
    },
  }
}
