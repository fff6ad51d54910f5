import type { ServiceClient } from '@registry-manager/http'
import { undefinedIfNotFound } from '@registry-manager/http'
import type { Access } from '@registry-manager/oci'
import { createAuthClient } from './auth-client.ts'
import type { Authenticated } from './authenticate.ts'
import { authenticate } from './authenticate.ts'
import type { Credentials } from './credentials.ts'
import { AccountResponse } from './internal-api.ts'
import { createJwksClient } from './jwks-client.ts'
import { ANONYMOUS_UID } from './principal.ts'
import type { RevocationFeed } from './revocation-feed.ts'
import { createRevocationFeed } from './revocation-feed.ts'
import { createTokenVerifier } from './token-verifier.ts'

export interface AuthenticatorOptions {
  readonly authService: ServiceClient
  /** Name of the service that uses the authenticator; its own tokens have the subject `service:NAME`. */
  readonly name: string
  readonly issuer: string
  readonly audience: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Authenticates the requests of a service, with keys, revocations and tokens from auth-service. */
export interface Authenticator {
  /** Basic credentials are exchanged for a token with `access`; null for an identity token. */
  authenticate(
    credentials: Credentials,
    address: string,
    access: readonly Access[] | null,
  ): Promise<Authenticated>
  /** An access token for the service itself. */
  serviceToken(access: readonly Access[]): Promise<string>
  /**
   * Throws ServiceCallError while the account cannot be read. A request beyond its token then gets 503, not 401: the
   * token may permit less than the account.
   */
  confirmAccount(uid: string): Promise<void>
  readonly feed: RevocationFeed
}

export function createAuthenticator({
  authService,
  name,
  issuer,
  audience,
  now,
}: AuthenticatorOptions): Authenticator {
  const feed = createRevocationFeed(authService, now)
  const findKey = createJwksClient(authService, now)
  const verifyToken = createTokenVerifier({ issuer, audience, findKey })
  const { exchange, forget, serviceToken } = createAuthClient(authService, name, now)
  const ports = { verifyToken, isRevoked: feed.isRevoked, exchange, forget }
  return {
    authenticate: (credentials, address, access) => authenticate(ports, credentials, address, access),
    serviceToken,
    async confirmAccount(uid) {
      if (uid === ANONYMOUS_UID) return
      await undefinedIfNotFound(
        authService.get(`/internal/accounts/${encodeURIComponent(uid)}`, AccountResponse),
      )
    },
    feed,
  }
}
