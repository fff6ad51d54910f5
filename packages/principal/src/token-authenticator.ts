import type { Access } from '@registry-manager/oci'
import { ANONYMOUS_UID } from './anonymous.ts'
import { createAuthClient } from './auth-client.ts'
import type { Authenticated } from './authenticate.ts'
import { authenticate } from './authenticate.ts'
import type { Credentials } from './credentials.ts'
import type { ServiceClient } from '@registry-manager/http'
import { ServiceCallError } from '@registry-manager/http'
import { AccountAnswer } from './internal-api.ts'
import { createJwksClient } from './jwks-client.ts'
import type { RevocationFeed } from './revocation-feed.ts'
import { createRevocationFeed } from './revocation-feed.ts'
import { createTokenVerifier } from './token-verifier.ts'

export interface AuthenticatorOptions {
  readonly authService: ServiceClient
  /** The service that keeps the authenticator; its own tokens are for `service:NAME`. */
  readonly name: string
  readonly issuer: string
  readonly audience: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** How a service finds out who asks, whatever they bring: all of it from auth-service. */
export interface Authenticator {
  /** `access` is what Basic credentials are exchanged for; null for an identity token. */
  authenticate(
    credentials: Credentials,
    address: string,
    access: readonly Access[] | null,
  ): Promise<Authenticated>
  /** A token that the service itself works with. */
  serviceToken(access: readonly Access[]): Promise<string>
  /** Throws ServiceCallError while nobody can say what an account may do: its tokens only pull then. */
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
      try {
        await authService.get(`/internal/accounts/${encodeURIComponent(uid)}`, AccountAnswer)
      } catch (error) {
        if (!(error instanceof ServiceCallError) || error.status !== 404) throw error
      }
    },
    feed,
  }
}
