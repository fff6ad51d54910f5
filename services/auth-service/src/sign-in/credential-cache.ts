import { createHmac } from 'node:crypto'

/** Remembers what was found out about secrets, without remembering the secrets. */
export interface CredentialCache<Value> {
  /** What a secret is known by here. */
  keyOf(secret: readonly string[]): string
  remember(secret: readonly string[], value: Value): void
  /** What was remembered no longer ago than `maxAgeMs`, at most that of the options. */
  recall(secret: readonly string[], maxAgeMs?: number): Value | undefined
}

export interface CredentialCacheOptions {
  /** Random bytes that this process made for itself. */
  readonly key: Buffer
  readonly now: () => number
  readonly maxAgeMs: number
  readonly maxEntries: number
}

/** Keys are HMACs under the process's own key, so a memory dump holds nothing to guess against elsewhere. */
export function createCredentialCache<Value>(options: CredentialCacheOptions): CredentialCache<Value> {
  const { key, now, maxAgeMs, maxEntries } = options
  const entries = new Map<string, { value: Value; at: number }>()
  const keyOf = (secret: readonly string[]) =>
    createHmac('sha256', key).update(JSON.stringify(secret)).digest('base64')
  return {
    keyOf,
    remember(secret, value) {
      const entry = keyOf(secret)
      // Deleted first, so that the map's order is the order of last use.
      entries.delete(entry)
      entries.set(entry, { value, at: now() })
      const [oldest] = entries.keys()
      if (entries.size > maxEntries && oldest !== undefined) entries.delete(oldest)
    },
    recall(secret, ageMs = maxAgeMs) {
      const entry = entries.get(keyOf(secret))
      return entry !== undefined && now() - entry.at <= Math.min(ageMs, maxAgeMs) ? entry.value : undefined
    },
  }
}
