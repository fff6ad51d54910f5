import { createHmac, randomBytes } from 'node:crypto'
import type { Dependency, ServiceClient } from '@registry-manager/http'
import { DEPENDENCIES } from '@registry-manager/http'
import type { Access } from '@registry-manager/oci'
import { formatScope } from '@registry-manager/oci'
import { LRUCache } from 'lru-cache'
import type { BasicCredentials, ExchangeResult } from './authenticate.ts'
import { ExchangeResponse, IssuedToken } from './internal-api.ts'
import { shareCalls } from './share-calls.ts'

export interface AuthClient {
  /** Exchanges credentials for an access token, which is cached for a short time. Null access: an identity token. */
  exchange(credentials: BasicCredentials, access: readonly Access[] | null): Promise<ExchangeResult>
  /** Removes an exchanged token from the cache, because it was revoked. */
  forget(credentials: BasicCredentials, access: readonly Access[] | null): void
  /** An access token for the service itself. */
  serviceToken(access: readonly Access[]): Promise<string>
}

/**
 * Lifetime of an exchanged token in the cache. A revocation removes it at once. New rights, such as a repository that
 * became global, take effect when it expires.
 */
const MAX_EXCHANGED_SECONDS = 5
/** A cached token is dropped this long before it expires, so that it does not expire in transit. */
const MARGIN_SECONDS = 15
const MAX_ENTRIES = 10_000

/**
 * Gets access tokens from auth-service, on behalf of one of our services. Concurrent calls for the same token share
 * one request. Throws ServiceCallError when auth-service is unavailable. Exchanges, which may be slow, can have a
 * client of their own.
 */
export function createAuthClient(
  authService: ServiceClient,
  service: string,
  now: () => number,
  exchangeClient = authService,
): AuthClient {
  const cache = new LRUCache<string, string>({ max: MAX_ENTRIES, ttlResolution: 0, perf: { now } })
  const exchanges = shareCalls<ExchangeResult>()
  const serviceTokens = shareCalls<string>()
  const key = randomBytes(32)

  const remember = (cacheKey: string, token: string, seconds: number) => {
    // lru-cache keeps an entry with a ttl of 0 for ever.
    if (seconds > 0) cache.set(cacheKey, token, { ttl: seconds * 1000 })
  }

  // The address is part of the key: otherwise a cache hit would tell another address that a guess was right.
  const exchangeKey = ({ username, password, address }: BasicCredentials, access: readonly Access[] | null) =>
    createHmac('sha256', key)
      .update(JSON.stringify([username, password, address, access && formatScope(access)]))
      .digest('base64')

  const requestExchange = async (
    cacheKey: string,
    credentials: BasicCredentials,
    access: readonly Access[] | null,
  ): Promise<ExchangeResult> => {
    const body = { ...credentials, access }
    const exchanged = await exchangeClient.post('/internal/token-exchanges', body, ExchangeResponse)
    if (exchanged.outcome === 'unavailable') {
      return { outcome: 'unavailable', dependency: toDependency(exchanged.part) }
    }
    // An offline token is not cached: once the database is back, the next exchange permits more.
    if (exchanged.outcome === 'issued' && exchanged.offline !== true) {
      const seconds = Math.min(exchanged.expiresIn - MARGIN_SECONDS, MAX_EXCHANGED_SECONDS)
      remember(cacheKey, exchanged.token, seconds)
    }
    return exchanged
  }

  const requestServiceToken = async (cacheKey: string, access: readonly Access[]) => {
    const body = { service, access }
    const { token, expiresIn } = await authService.post('/internal/service-tokens', body, IssuedToken)
    remember(cacheKey, token, expiresIn - MARGIN_SECONDS)
    return token
  }

  return {
    async exchange(credentials, access) {
      const cacheKey = exchangeKey(credentials, access)
      const token = cache.get(cacheKey)
      if (token !== undefined) return { outcome: 'issued', token }
      // An outcome of an outage is not shared: the dependency may be back by now.
      const isFinal = (exchanged: ExchangeResult) =>
        exchanged.outcome !== 'unavailable' && !('offline' in exchanged && exchanged.offline === true)
      return exchanges.run(cacheKey, () => requestExchange(cacheKey, credentials, access), isFinal)
    },

    forget(credentials, access) {
      const cacheKey = exchangeKey(credentials, access)
      cache.delete(cacheKey)
      exchanges.forget(cacheKey)
    },

    async serviceToken(access) {
      const cacheKey = `service ${formatScope(access)}`
      return cache.get(cacheKey) ?? serviceTokens.run(cacheKey, () => requestServiceToken(cacheKey, access))
    },
  }
}

/** Reads a dependency from a response of auth-service. The previous version sends `the database` for `database`. */
function toDependency(text: string): Dependency {
  return DEPENDENCIES.find((dependency) => text.endsWith(dependency)) ?? 'auth-service'
}
