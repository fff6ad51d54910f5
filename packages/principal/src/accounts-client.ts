import type { Static } from 'typebox'
import { ANONYMOUS_UID } from './anonymous.ts'
import type { ServiceClient } from '@registry-manager/http'
import { ServiceCallError } from '@registry-manager/http'
import { AccountAnswer } from './internal-api.ts'
import type { RevocationFeed } from './revocation-feed.ts'

export type AccountFacts = Static<typeof AccountAnswer>

const MAX_ENTRIES = 10_000
/** Revocations are told for a while only: what was remembered before must be asked for again by then. */
const MAX_AGE_MS = 60_000

/**
 * Asks auth-service who an account is, and remembers it until the revocations name the account. Undefined for
 * one that is not there any more. Throws ServiceCallError when auth-service does not answer.
 */
export function createAccountsClient(
  authService: ServiceClient,
  feed: Pick<RevocationFeed, 'isRevoked'>,
  now: () => number,
): (uid: string) => Promise<AccountFacts | undefined> {
  const known = new Map<string, { account: AccountFacts; until: number }>()
  return async (uid) => {
    if (uid === ANONYMOUS_UID) return undefined
    const remembered = known.get(uid)
    if (remembered !== undefined && remembered.until > now()) {
      const { account } = remembered
      if (feed.isRevoked(uid, account.generation) === false) return account
    }
    known.delete(uid)
    try {
      const account = await authService.get(`/internal/accounts/${encodeURIComponent(uid)}`, AccountAnswer)
      known.set(uid, { account, until: now() + MAX_AGE_MS })
      const [oldest] = known.keys()
      if (known.size > MAX_ENTRIES && oldest !== undefined) known.delete(oldest)
      return account
    } catch (error) {
      if (error instanceof ServiceCallError && error.status === 404) return undefined
      throw error
    }
  }
}
