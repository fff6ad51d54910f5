import { createServiceClient, setRequestPrincipal, undefinedIfNotFound } from '@registry-manager/http'
import type { Access } from '@registry-manager/oci'
import { createAuthClient } from './auth-client.ts'
import type { AuthenticationResult } from './authenticate.ts'
import { authenticate } from './authenticate.ts'
import type { Credentials } from './credentials.ts'
import { AccountResponse } from './internal-api.ts'
import { createJwksClient } from './jwks-client.ts'
import { ANONYMOUS_UID } from './principal.ts'
import type { RevocationFeed } from './revocation-feed.ts'
import { createRevocationFeed } from './revocation-feed.ts'
import { createTokenVerifier } from './token-verifier.ts'

export interface AuthServiceAddress {
  /** URL of auth-service's internal port. */
  readonly url: string
  /** The service credential. */
  readonly credential: string
}

export interface AuthenticatorOptions {
  readonly authService: AuthServiceAddress
  /** Name of the service that uses the authenticator; its own tokens have the subject `service:NAME`. */
  readonly name: string
  readonly issuer: string
  readonly audience: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Authenticates the requests of a service, with keys, revocations and tokens from auth-service. */
export interface Authenticator {
  /**
   * Basic credentials are exchanged for a token with `access`; null for an identity token. The principal becomes part
   * of the context of the current request.
   */
  authenticate(
    credentials: Credentials,
    address: string,
    access: readonly Access[] | null,
  ): Promise<AuthenticationResult>
  /** An access token for the service itself. */
  serviceToken(access: readonly Access[]): Promise<string>
  /**
   * Throws ServiceCallError while the account cannot be read. Call it before a token with too little access is refused
   * with 401: the account may permit more than the token, and the response is 503 then.
   */
  confirmAccount(uid: string): Promise<void>
  readonly feed: RevocationFeed
}

export function createAuthenticator({
  authService: address,
  name,
  issuer,
  audience,
  now,
}: AuthenticatorOptions): Authenticator {
  const authService = createServiceClient({ dependency: 'auth-service', ...address })
  // A pool of their own: an exchange may wait seconds for a password hash or the directory, and must not delay polls.
  const slowCalls = createServiceClient({ dependency: 'auth-service', ...address })
  // A wall clock that is set back would pause polls and refetches.
  const monotonicNow = () => performance.now()
  const feed = createRevocationFeed(authService, monotonicNow)
  const findKey = createJwksClient(authService, monotonicNow)
  const verifyToken = createTokenVerifier({ issuer, audience, findKey })
  const { exchange, forget, serviceToken } = createAuthClient(authService, name, now, slowCalls)
  const ports = { verifyToken, isRevoked: feed.isRevoked, exchange, forget }
  return {
    async authenticate(credentials, address, access) {
      const found = await authenticate(ports, credentials, address, access)
      if (found.outcome === 'principal') setRequestPrincipal(found.requestPrincipal)
      return found
    },
    serviceToken,
    async confirmAccount(uid) {
      if (uid === ANONYMOUS_UID) return
      await undefinedIfNotFound(
        slowCalls.get(`/internal/accounts/${encodeURIComponent(uid)}`, AccountResponse),
      )
    },
    feed,
  }
}
