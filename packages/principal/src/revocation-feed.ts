import type { HealthCheck, ServiceClient } from '@registry-manager/http'
import { createPeriodicWork } from '@registry-manager/http'
import { Revocations } from './internal-api.ts'

export interface RevocationFeed {
  /** Whether a token of this generation is revoked. Undefined while the revocation list has not been loaded yet. */
  isRevoked(uid: string, generation: number): boolean | undefined
  readonly check: HealthCheck
  start(): void
  stop(): Promise<void>
}

const POLL_MS = 1000
const STALE_MS = 5000

/**
 * Polls auth-service's revocation list each second. While auth-service does not respond, the last list stays in use and
 * readiness reports `degraded`: an access token whose revocation is missing in the list expires after five minutes at
 * most. `now` is a monotonic clock, in milliseconds.
 */
export function createRevocationFeed(authService: ServiceClient, now: () => number): RevocationFeed {
  let accounts: ReadonlyMap<string, number> | undefined
  let etag: string | undefined
  let [startedAt, loadedAt] = [-Infinity, -Infinity]

  const polling = createPeriodicWork({
    // One second from start to start, so that the length of a request does not delay revocations.
    everyMs: () => Math.max(0, POLL_MS - (now() - startedAt)),
    async work() {
      startedAt = now()
      const changed = await authService.getIfChanged('/internal/revocations', Revocations, etag)
      if (changed !== undefined) {
        accounts = new Map(Object.entries(changed.value.accounts))
        etag = changed.etag
      }
      loadedAt = now()
    },
    // The health check reports a failure; the next poll follows in a second.
  })

  return {
    isRevoked: (uid, generation) => accounts && generation < (accounts.get(uid) ?? 0),
    check: async () => {
      if (accounts === undefined) throw new Error('no revocation list received from auth-service yet')
      const silence = now() - loadedAt
      if (silence < STALE_MS) return 'ok'
      return { degraded: `no revocation list from auth-service for ${Math.round(silence / 1000)} s` }
    },
    start: polling.start,
    stop: polling.stop,
  }
}
