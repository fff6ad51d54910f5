import { LRUCache } from 'lru-cache'
import type { GlobalMark } from '@registry-manager/oci'
import type { Globals } from './grant.ts'

export interface GlobalRepositoriesPorts {
  /** Returns those of the given repositories that are global according to image-manager. */
  fetchGlobalScopes(names: readonly string[]): Promise<Globals>
  /** Whether an error means that image-manager is unavailable. */
  isUnavailable(error: unknown): boolean
  /** Called with the first error of an outage. */
  onOutage(error: unknown): void
  readonly now: () => number
  /** Time for which the last response stays valid while image-manager is unavailable, in milliseconds. */
  readonly graceMs: number
}

/**
 * Cache time of a global repository, in milliseconds: the longest delay until a repository that ceased to be global is
 * noticed. Other repositories are not cached, so a repository that becomes global is noticed at once.
 */
const FRESH_MS = 5000
const MAX_NAMES = 10_000

/**
 * Finds those of the given repositories that are global: every signed-in user may pull them. While image-manager is
 * unavailable the scope of a repository cannot change, so those that were global within the grace still count.
 */
export function createFindGlobals(
  ports: GlobalRepositoriesPorts,
): (names: readonly string[]) => Promise<Globals> {
  const { now } = ports
  const cache = new LRUCache<string, { at: number; mark: GlobalMark | undefined }>({ max: MAX_NAMES })
  const cachedWithin = (ms: number) => (name: string) => now() - (cache.get(name)?.at ?? -Infinity) < ms
  const toGlobals = (names: readonly string[]) => new Map(names.map((name) => [name, cache.get(name)?.mark]))
  let isOutage = false
  return async (names) => {
    const isFresh = cachedWithin(FRESH_MS)
    const unknown = names.filter((name) => !isFresh(name))
    if (unknown.length === 0) return toGlobals(names)
    try {
      const globals = await ports.fetchGlobalScopes(unknown)
      isOutage = false
      for (const name of unknown) cache.delete(name)
      for (const [name, mark] of globals) cache.set(name, { at: now(), mark })
      return toGlobals(names.filter(isFresh))
    } catch (error) {
      if (!ports.isUnavailable(error)) throw error
      if (!isOutage) ports.onOutage(error)
      isOutage = true
      return toGlobals(names.filter(cachedWithin(ports.graceMs)))
    }
  }
}
