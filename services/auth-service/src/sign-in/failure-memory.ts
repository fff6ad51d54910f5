import type { FailureRule, Failures } from './failure-rule.ts'
import { addFailure } from './failure-rule.ts'

/** Something that failures are counted of, and by which rule. */
export interface Counted {
  /** Made by `keyOf`. */
  readonly key: string
  readonly rule: FailureRule
}

/** A key that no other parts make, whatever is in them: names may hold anything. Such as `["account","alice"]`. */
export function keyOf(...parts: readonly string[]): string {
  return JSON.stringify(parts)
}

export interface FailureMemory {
  find(key: string): Failures | undefined
  add(counted: Counted): void
  /** Takes over what another replica has counted. */
  merge(key: string, failures: Failures): void
}

/** Failures in this process's memory; the key that failed the longest ago gives way. */
export function createFailureMemory(now: () => number, maxKeys: number): FailureMemory {
  const buckets = new Map<string, Failures>()
  const put = (key: string, failures: Failures) => {
    // Deleted first, so that the map's order is the order of failures.
    buckets.delete(key)
    buckets.set(key, failures)
    const [oldest] = buckets.keys()
    if (buckets.size > maxKeys && oldest !== undefined) buckets.delete(oldest)
  }
  return {
    find: (key) => buckets.get(key),
    add: ({ key, rule }) => put(key, addFailure(buckets.get(key), rule, now())),
    merge(key, { failedAt, clearsAt }) {
      const mine = buckets.get(key)
      put(key, {
        failedAt: Math.max(failedAt, mine?.failedAt ?? 0),
        clearsAt: Math.max(clearsAt, mine?.clearsAt ?? 0),
      })
    },
  }
}
