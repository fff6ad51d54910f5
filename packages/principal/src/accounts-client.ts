import type { ServiceClient } from '@registry-manager/http'
import { undefinedIfNotFound } from '@registry-manager/http'
import { LRUCache } from 'lru-cache'
import type { Static } from 'typebox'
import { AccountResponse } from './internal-api.ts'
import type { Principal } from './principal.ts'
import { ANONYMOUS_UID } from './principal.ts'
import type { RevocationFeed } from './revocation-feed.ts'
import { isTokenRevoked } from './revoked-token.ts'
import { shareCalls } from './share-calls.ts'

export type AccountRights = Static<typeof AccountResponse>

const MAX_ENTRIES = 10_000
/** Shorter than auth-service keeps an account in the revocation list: a cached account must not outlive its entry. */
const MAX_AGE_MS = 60_000

/** The principal whose rights are requested, as a verified access token names it. */
export type RightsQuery = Pick<Principal, 'uid' | 'via' | 'rules'>

/**
 * Finds the rights of an account. With `via`, finds the rights of a personal token that acts for the account. With
 * `rules`, adds up the rights that all trust rules of a workload give.
 */
export type FindAccountRights = (principal: RightsQuery) => Promise<AccountRights | undefined>

/**
 * Asks auth-service for the rights of an account and caches them until the revocation list names the account or the
 * personal token. Concurrent callers share one request. Undefined for an account or a personal token that does not
 * exist (any more). Throws ServiceCallError when auth-service is unavailable.
 */
export function createAccountsClient(
  authService: ServiceClient,
  feed: Pick<RevocationFeed, 'isRevoked'>,
  now: () => number,
): FindAccountRights {
  const cache = new LRUCache<string, AccountRights>({
    max: MAX_ENTRIES,
    ttl: MAX_AGE_MS,
    ttlResolution: 0,
    perf: { now },
  })
  const requests = shareCalls<AccountRights | undefined>()

  const load = async (path: string) => {
    const account = await undefinedIfNotFound(authService.get(path, AccountResponse))
    if (account === undefined) cache.delete(path)
    else cache.set(path, account)
    return account
  }

  const find = async (uid: string, via?: string) => {
    if (uid === ANONYMOUS_UID) return undefined
    const revoked = ({ generation: gen }: AccountRights) => isTokenRevoked(feed.isRevoked, { uid, gen, via })
    const path = accountPath(uid, via)
    const cached = cache.get(path)
    if (cached !== undefined && revoked(cached) === false) return cached
    const account = await requests.run(path, () => load(path))
    // The shared request may have started before the change that the revocation list reports.
    return account !== undefined && revoked(account) === true ? load(path) : account
  }

  return async ({ uid, via, rules = [] }) => {
    const found = await Promise.all([find(uid, via), ...rules.map((id) => find(id))])
    return found
      .filter((rights) => rights !== undefined)
      .reduce<AccountRights | undefined>(addRights, undefined)
  }
}

/** Adds up the scopes and grants of trust rules. Only a workload has several trust rules. */
function addRights(sum: AccountRights | undefined, rights: AccountRights): AccountRights {
  if (sum?.kind !== 'token' || rights.kind !== 'token') return rights
  const grants = [...(sum.grants ?? []), ...(rights.grants ?? [])]
  return { ...sum, scopes: [...sum.scopes, ...rights.scopes], grants }
}

/**
 * A personal token has a path of its own. A previous version of auth-service responds 404, as for an unknown account.
 */
function accountPath(uid: string, via: string | undefined): string {
  const path = `/internal/accounts/${encodeURIComponent(uid)}`
  return via === undefined ? path : `${path}/via/${encodeURIComponent(via)}`
}
