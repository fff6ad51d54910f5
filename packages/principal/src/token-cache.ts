export interface TokenCache {
  get(key: string): string | undefined
  set(key: string, token: string, seconds: number): void
  delete(key: string): void
}

/** Remembers tokens for so many seconds; the oldest give way. */
export function createTokenCache({ now, maxEntries }: { now: () => number; maxEntries: number }): TokenCache {
  const entries = new Map<string, { token: string; until: number }>()
  return {
    get(key) {
      const entry = entries.get(key)
      if (entry !== undefined && entry.until > now()) return entry.token
      entries.delete(key)
      return undefined
    },
    set(key, token, seconds) {
      entries.set(key, { token, until: now() + seconds * 1000 })
      const [oldest] = entries.keys()
      if (entries.size > maxEntries && oldest !== undefined) entries.delete(oldest)
    },
    delete: (key) => void entries.delete(key),
  }
}
