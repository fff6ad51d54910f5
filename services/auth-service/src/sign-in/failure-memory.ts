import { LRUCache } from 'lru-cache'
import type { FailureRule, Failures } from './failure-rule.ts'
import { addFailure } from './failure-rule.ts'

/** A key whose failures are counted, and the rule that limits them. */
export interface Counted {
  /** Made by `keyOf`. */
  readonly key: string
  readonly rule: FailureRule
}

/** An unambiguous key of parts that may contain any characters, such as `["account","alice"]`. */
export function keyOf(...parts: readonly string[]): string {
  return JSON.stringify(parts)
}

export interface FailureMemory {
  find(key: string): Failures | undefined
  add(counted: Counted): void
  /** Merges the failures that another replica has counted. */
  merge(key: string, failures: Failures): void
}

/** Counts failures in memory. Beyond `maxKeys`, the key whose last failure is oldest is dropped. */
export function createFailureMemory(now: () => number, maxKeys: number): FailureMemory {
  const buckets = new LRUCache<string, Failures>({ max: maxKeys })
  return {
    // `peek` does not count as a use: an attacker must not keep keys in memory by asking for them.
    find: (key) => buckets.peek(key),
    add: ({ key, rule }) => void buckets.set(key, addFailure(buckets.peek(key), rule, now())),
    merge(key, { failedAt, clearsAt }) {
      const own = buckets.peek(key)
      buckets.set(key, {
        failedAt: Math.max(failedAt, own?.failedAt ?? 0),
        clearsAt: Math.max(clearsAt, own?.clearsAt ?? 0),
      })
    },
  }
}
