import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'

/** Caches results of verified secrets without storing the secrets. */
export interface CredentialCache<Value> {
  /** The cache key of a secret. */
  keyOf(secret: readonly string[]): string
  remember(secret: readonly string[], value: Value): void
  /**
   * The value of a secret, if it was remembered within the given time. Without an argument, or with a longer time,
   * `CredentialCacheOptions.maxAgeMs` applies.
   */
  recall(secret: readonly string[], withinMs?: number): Value | undefined
  /** The number of entries, expired ones included. */
  size(): number
}

export interface CredentialCacheOptions {
  /** Random bytes of this process. */
  readonly key: Buffer
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly maxAgeMs: number
  readonly maxEntries: number
  /** Called when a full cache drops its least recently used entry. */
  readonly onEvicted?: () => void
}

/**
 * Cache keys are hashes of a random key of this process and the secret: without the random key, a memory dump allows no
 * offline guessing.
 */
export function createCredentialCache<Value>(options: CredentialCacheOptions): CredentialCache<Value> {
  const { key, now, maxAgeMs, maxEntries, onEvicted } = options
  const entries = new LRUCache<string, { value: Value; at: number }>({
    max: maxEntries,
    dispose: (_value, _key, reason) => reason === 'evict' && onEvicted?.(),
  })
  const prefix = key.toString('base64')
  const keyOf = (secret: readonly string[]) => hash('sha256', prefix + JSON.stringify(secret), 'base64')
  return {
    keyOf,
    size: () => entries.size,
    remember: (secret, value) => void entries.set(keyOf(secret), { value, at: now() }),
    recall(secret, withinMs = maxAgeMs) {
      const entry = entries.get(keyOf(secret))
      return entry !== undefined && now() - entry.at <= Math.min(withinMs, maxAgeMs) ? entry.value : undefined
    },
  }
}
