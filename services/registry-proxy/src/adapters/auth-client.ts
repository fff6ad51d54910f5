import { createHmac, randomBytes } from 'node:crypto'
import type { Access } from '@registry-manager/oci'
import { formatScope } from '@registry-manager/oci'
import type { ServiceClient } from '@registry-manager/service-kit'
import { ExchangeAnswer, IssuedToken } from '@registry-manager/service-kit'
import { createTokenCache } from './token-cache.ts'

export interface PasswordCredentials {
  readonly username: string
  readonly password: string
  /** Where they came from. */
  readonly address: string
}

export type Exchange =
  | { readonly outcome: 'issued'; readonly token: string }
  | { readonly outcome: 'refused' }
  | { readonly outcome: 'throttled'; readonly retryAfterSeconds: number }

export interface AuthClient {
  /** A token for somebody's credentials; remembered for a short time. */
  exchange(credentials: PasswordCredentials, access: readonly Access[]): Promise<Exchange>
  /** Forgets what was remembered for them: the token turned out to be dead. */
  forget(credentials: PasswordCredentials, access: readonly Access[]): void
  /** A token that the proxy itself works with. */
  serviceToken(access: readonly Access[]): Promise<string>
}

/** How long an exchanged token serves for the same credentials, in seconds. A dead one is noticed at once. */
const MAX_EXCHANGED_SECONDS = 60

/** Asks auth-service for tokens. Throws ServiceCallError when it does not answer. */
export function createAuthClient(authService: ServiceClient, now: () => number): AuthClient {
  const cache = createTokenCache({ now, maxEntries: 10_000 })
  const key = randomBytes(32)
  const exchangeKey = ({ username, password }: PasswordCredentials, access: readonly Access[]) =>
    createHmac('sha256', key)
      .update(JSON.stringify([username, password, formatScope(access)]))
      .digest('base64')

  return {
    async exchange(credentials, access) {
      const cacheKey = exchangeKey(credentials, access)
      const known = cache.get(cacheKey)
      if (known !== undefined) return { outcome: 'issued', token: known }
      const body = { ...credentials, access }
      const answer = await authService.post('/internal/token-exchanges', body, ExchangeAnswer)
      if (answer.outcome === 'issued') {
        cache.set(cacheKey, answer.token, Math.min(answer.expiresIn, MAX_EXCHANGED_SECONDS))
      }
      return answer
    },

    forget: (credentials, access) => cache.delete(exchangeKey(credentials, access)),

    async serviceToken(access) {
      const cacheKey = `service ${formatScope(access)}`
      const known = cache.get(cacheKey)
      if (known !== undefined) return known
      const body = { service: 'registry-proxy', access }
      const { token, expiresIn } = await authService.post('/internal/service-tokens', body, IssuedToken)
      cache.set(cacheKey, token, expiresIn)
      return token
    },
  }
}
