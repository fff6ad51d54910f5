import type { ServiceClient } from '@registry-manager/http'
import { Revocations } from './internal-api.ts'
import type { HealthCheck } from '@registry-manager/http'

export interface RevocationFeed {
  /** Whether a token of this generation is dead. Undefined while no feed was ever had: then nobody knows. */
  isRevoked(uid: string, generation: number): boolean | undefined
  readonly check: HealthCheck
  start(): void
  stop(): void
}

const POLL_MS = 1000
const STALE_MS = 5000

/**
 * Follows auth-service's revocations, asking each second for them if they changed. While it does not answer,
 * the last answer holdsExactly: what it cannot know yet is bounded by the tokens' short life, and readiness says
 * that it is degraded.
 */
export function createRevocationFeed(authService: ServiceClient, now: () => number): RevocationFeed {
  let accounts: ReadonlyMap<string, number> | undefined
  let etag: string | undefined
  let heardAt = -Infinity
  let timer: NodeJS.Timeout | undefined

  const poll = async () => {
    const begun = now()
    try {
      const changed = await authService.getIfChanged('/internal/revocations', Revocations, etag)
      if (changed !== undefined) {
        accounts = new Map(Object.entries(changed.value.accounts))
        etag = changed.etag
      }
      heardAt = now()
    } catch {
      // The health check tells; the next poll is soon.
    }
    if (timer !== undefined) timer = setTimeout(poll, Math.max(0, POLL_MS - (now() - begun)))
  }

  return {
    isRevoked: (uid, generation) => accounts && generation < (accounts.get(uid) ?? 0),
    check: async () => {
      if (accounts === undefined) throw new Error('no revocations were ever had from auth-service')
      const silence = now() - heardAt
      return silence < STALE_MS
        ? 'ok'
        : { degraded: `auth-service has been silent for ${Math.round(silence / 1000)} s` }
    },
    start: () => {
      timer = setTimeout(poll, 0)
    },
    stop: () => {
      clearTimeout(timer)
      timer = undefined
    },
  }
}
