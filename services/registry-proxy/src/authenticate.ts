import { describeUnavailable } from '@registry-manager/http'
import type { RegistryRequest } from '@registry-manager/oci'
import type { Authenticator, Principal } from '@registry-manager/principal'
import { credentialsOf, describeThrottled } from '@registry-manager/principal'
import type { FastifyRequest } from 'fastify'
import { describeUnauthenticated } from './describe-refusal.ts'
import type { LowestGeneration } from './ended-global-scopes.ts'
import { withoutEndedGlobalScopes } from './ended-global-scopes.ts'
import type { Refusal } from './refuse.ts'
import { retryLater } from './refuse.ts'
import type { ChallengeOptions } from './required-access.ts'
import { challenge, challengeAccess, usableAccess } from './required-access.ts'

export interface AuthenticateOptions extends ChallengeOptions {
  readonly authenticator: Pick<Authenticator, 'authenticate'>
  readonly endedGlobalScopes: { readonly lowestGeneration: LowestGeneration }
}

/** The principal of a request, and the access token that identifies it. */
export interface Authenticated {
  readonly principal: Principal
  readonly token: string
}

/**
 * Finds the principal of a request. Basic credentials are exchanged for a token with all access that the request could
 * use. Throws ServiceCallError when auth-service is unavailable.
 */
export async function authenticate(
  options: AuthenticateOptions,
  registryRequest: RegistryRequest,
  request: FastifyRequest,
): Promise<Authenticated | { readonly refused: Refusal }> {
  const { authenticator, endedGlobalScopes } = options
  const access = usableAccess(registryRequest)
  const found = await authenticator.authenticate(credentialsOf(request), request.ip, access)
  switch (found.outcome) {
    case 'refused': {
      const requested = challengeAccess(registryRequest)
      const texts = describeUnauthenticated(
        credentialsOf(request).kind,
        requested,
        options.realm,
        found.reason,
      )
      const headers = challenge(options, requested, found.error)
      return { refused: { code: 'UNAUTHORIZED', ...texts, headers } }
    }
    case 'throttled': {
      const headers = { 'retry-after': String(found.retryAfterSeconds) }
      const message = describeThrottled(found.retryAfterSeconds)
      return { refused: { code: 'TOOMANYREQUESTS', message, headers } }
    }
    case 'unavailable':
      return { refused: retryLater(describeUnavailable(found.dependency), 5) }
    case 'unknown':
      return { refused: retryLater('the revocation list has not been loaded yet; retry shortly', 1) }
    case 'principal': {
      const principal = withoutEndedGlobalScopes(found.principal, endedGlobalScopes.lowestGeneration)
      if (principal !== undefined) return { principal, token: found.token }
      const message =
        'the list of repositories that are no longer global has not been loaded yet; retry shortly'
      return { refused: retryLater(message, 1) }
    }
  }
}
