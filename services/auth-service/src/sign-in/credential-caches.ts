import { randomBytes } from 'node:crypto'
import type { Metrics } from '@registry-manager/http'
import { Counter, Gauge } from 'prom-client'
import type { CredentialCache } from './credential-cache.ts'
import { createCredentialCache } from './credential-cache.ts'

/** Creates the credential cache of a feature. `name` is its label in the metrics. */
export type NewCredentialCache = <Value>(name: string, maxAgeMs: number) => CredentialCache<Value>

/** Entries of each cache. A user's entry has about 1 KiB. */
const MAX_ENTRIES = 50_000

/**
 * The credential caches of this process: each has its own key, the same bound, and metrics. A full cache drops the
 * least recently used credentials; their next sign-in costs a lookup, and a password's a hash. `now` is in milliseconds
 * since the epoch.
 */
export function createCredentialCaches({ registry }: Metrics, now: () => number): NewCredentialCache {
  const sizes = new Map<string, () => number>()
  const entries = new Gauge({
    name: 'credential_cache_entries',
    help: `Verified credentials in memory, by cache; ${MAX_ENTRIES} in each at the most`,
    labelNames: ['cache'] as const,
    registers: [registry],
    collect() {
      for (const [cache, size] of sizes) entries.set({ cache }, size())
    },
  })
  const evictions = new Counter({
    name: 'credential_cache_evictions_total',
    help: 'Verified credentials that a full cache dropped, by cache',
    labelNames: ['cache'] as const,
    registers: [registry],
  })
  return <Value>(name: string, maxAgeMs: number) => {
    evictions.inc({ cache: name }, 0)
    const cache = createCredentialCache<Value>({
      key: randomBytes(32),
      now,
      maxAgeMs,
      maxEntries: MAX_ENTRIES,
      onEvicted: () => evictions.inc({ cache: name }),
    })
    sizes.set(name, cache.size)
    return cache
  }
}
