export interface TokenCache {
  get(key: string): string | undefined
  set(key: string, token: string, lifeSeconds: number): void
  delete(key: string): void
}

/** A token is used no later than this before its end, so that it does not end on its way. */
const MARGIN_SECONDS = 15

/** Remembers tokens until shortly before they end; the oldest give way. */
export function createTokenCache({ now, maxEntries }: { now: () => number; maxEntries: number }): TokenCache {
  const entries = new Map<string, { token: string; until: number }>()
  return {
    get(key) {
      const entry = entries.get(key)
      if (entry !== undefined && entry.until > now()) return entry.token
      entries.delete(key)
      return undefined
    },
    set(key, token, lifeSeconds) {
      entries.set(key, { token, until: now() + (lifeSeconds - MARGIN_SECONDS) * 1000 })
      const [oldest] = entries.keys()
      if (entries.size > maxEntries && oldest !== undefined) entries.delete(oldest)
    },
    delete: (key) => void entries.delete(key),
  }
}
