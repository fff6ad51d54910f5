import type { ServiceClient } from '@registry-manager/http'
import { undefinedIfNotFound } from '@registry-manager/http'
import { LRUCache } from 'lru-cache'
import type { Static } from 'typebox'
import { AccountResponse } from './internal-api.ts'
import { ANONYMOUS_UID } from './principal.ts'
import type { RevocationFeed } from './revocation-feed.ts'
import { shareCalls } from './share-calls.ts'

export type AccountFacts = Static<typeof AccountResponse>

const MAX_ENTRIES = 10_000
/** Shorter than auth-service keeps an account in the revocation list: a cached account must not outlive its entry. */
const MAX_AGE_MS = 60_000

/**
 * Asks auth-service for the facts of an account and caches them until the revocation list names the account.
 * Concurrent callers share one request. Undefined for an account that does not exist (any more). Throws
 * ServiceCallError when auth-service is unavailable.
 */
export function createAccountsClient(
  authService: ServiceClient,
  feed: Pick<RevocationFeed, 'isRevoked'>,
  now: () => number,
): (uid: string) => Promise<AccountFacts | undefined> {
  const cache = new LRUCache<string, AccountFacts>({
    max: MAX_ENTRIES,
    ttl: MAX_AGE_MS,
    ttlResolution: 0,
    perf: { now },
  })
  const requests = shareCalls<AccountFacts | undefined>()

  const load = async (uid: string) => {
    const path = `/internal/accounts/${encodeURIComponent(uid)}`
    const account = await undefinedIfNotFound(authService.get(path, AccountResponse))
    if (account === undefined) cache.delete(uid)
    else cache.set(uid, account)
    return account
  }

  return async (uid) => {
    if (uid === ANONYMOUS_UID) return undefined
    const cached = cache.get(uid)
    if (cached !== undefined && feed.isRevoked(uid, cached.generation) === false) return cached
    const account = await requests.run(uid, () => load(uid))
    // The shared request may have started before the change that the revocation list reports.
    const isOutdated = account !== undefined && feed.isRevoked(uid, account.generation) === true
    return isOutdated ? load(uid) : account
  }
}
