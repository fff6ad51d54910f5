import { LRUCache } from 'lru-cache'

export interface RecentTokens {
  /**
   * Returns the token that was made for the same key a moment ago, or makes one. `now` is in seconds since the epoch.
   */
  get<Token extends object>(key: string, now: number, make: () => Promise<Token>): Promise<Token>
}

/** Maximum age of a token that is issued again, in seconds. */
const MAX_AGE_SECONDS = 5
const MAX_ENTRIES = 1000

/**
 * Access tokens that were issued a moment ago. A client that asks for the same access again, such as each of the nodes
 * that pull an image with one account, gets the same token: its signature is the most expensive part of a response.
 * Whether the principal may have the access is decided for each request, before this. A token is issued again for at
 * most 5 seconds, and for at most a sixtieth of its life.
 */
export function createRecentTokens(lifeSeconds: number): RecentTokens {
  const maxAge = Math.min(MAX_AGE_SECONDS, Math.floor(lifeSeconds / 60))
  const entries = new LRUCache<string, { readonly at: number; readonly token: Promise<object> }>({
    max: MAX_ENTRIES,
  })
  return {
    async get<Token extends object>(key: string, now: number, make: () => Promise<Token>): Promise<Token> {
      const recent = entries.get(key)
      if (recent !== undefined && now >= recent.at && now - recent.at < maxAge) {
        return (await recent.token) as Token
      }
      const token = make()
      entries.set(key, { at: now, token })
      try {
        return await token
      } catch (error) {
        entries.delete(key)
        throw error
      }
    },
  }
}
