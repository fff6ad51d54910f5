import { createHmac, randomBytes } from 'node:crypto'
import type { Access } from '@registry-manager/oci'
import { formatScope } from '@registry-manager/oci'
import type { BasicCredentials, Exchanged } from './authenticate.ts'
import type { Dependency, ServiceClient } from '@registry-manager/http'
import { DEPENDENCIES } from '@registry-manager/http'
import { ExchangeAnswer, IssuedToken } from './internal-api.ts'
import { createTokenCache } from './token-cache.ts'

export interface AuthClient {
  /** A token for somebody's credentials; remembered for a short time. Null access is for an identity token. */
  exchange(credentials: BasicCredentials, access: readonly Access[] | null): Promise<Exchanged>
  /** Forgets what was remembered for them: the token turned out to be dead. */
  forget(credentials: BasicCredentials, access: readonly Access[] | null): void
  /** A token that the service itself works with. */
  serviceToken(access: readonly Access[]): Promise<string>
}

/**
 * How long an exchanged token serves for the same credentials, in seconds. A dead one is noticed at once, but not
 * one that would carry more by now: a repository that became global, say.
 */
const MAX_EXCHANGED_SECONDS = 5
/** A token is used no later than this before its end, so that it does not end on its way. */
const MARGIN_SECONDS = 15

/** Asks auth-service for tokens, in the name of a service of ours. Throws ServiceCallError when it does not answer. */
export function createAuthClient(authService: ServiceClient, service: string, now: () => number): AuthClient {
  const cache = createTokenCache({ now, maxEntries: 10_000 })
  const key = randomBytes(32)
  // With the address: a cache for all addresses would tell one that guesses which password is in use.
  const exchangeKey = ({ username, password, address }: BasicCredentials, access: readonly Access[] | null) =>
    createHmac('sha256', key)
      .update(JSON.stringify([username, password, address, access && formatScope(access)]))
      .digest('base64')

  return {
    async exchange(credentials, access) {
      const cacheKey = exchangeKey(credentials, access)
      const known = cache.get(cacheKey)
      if (known !== undefined) return { outcome: 'issued', token: known }
      const body = { ...credentials, access }
      const answer = await authService.post('/internal/token-exchanges', body, ExchangeAnswer)
      // Not what is less than it would be otherwise: when the database is back it is to be more at once.
      if (answer.outcome === 'issued' && answer.offline !== true) {
        cache.set(cacheKey, answer.token, Math.min(answer.expiresIn - MARGIN_SECONDS, MAX_EXCHANGED_SECONDS))
      }
      return answer.outcome === 'unavailable'
        ? { outcome: 'unavailable', dependency: toDependency(answer.part) }
        : answer
    },

    forget: (credentials, access) => cache.delete(exchangeKey(credentials, access)),

    async serviceToken(access) {
      const cacheKey = `service ${formatScope(access)}`
      const known = cache.get(cacheKey)
      if (known !== undefined) return known
      const body = { service, access }
      const { token, expiresIn } = await authService.post('/internal/service-tokens', body, IssuedToken)
      cache.set(cacheKey, token, expiresIn - MARGIN_SECONDS)
      return token
    },
  }
}

/** Reads a dependency from a response of auth-service. The previous version sends `the database` for `database`. */
function toDependency(text: string): Dependency {
  return DEPENDENCIES.find((dependency) => text.endsWith(dependency)) ?? 'auth-service'
}
