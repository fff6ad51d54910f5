import { ScopesAnswer, ServiceCallError } from '@registry-manager/service-kit'
import type { ServiceClient } from '@registry-manager/service-kit'

export type FindGlobal = (names: readonly string[]) => Promise<ReadonlySet<string>>

/** A repository that ceases to be global is noticed after this at the latest. One that becomes it, at once. */
const REMEMBER_MS = 5000
const MAX_NAMES = 10_000

/**
 * Asks image-manager which repositories are global: those that every signed-in account may pull. While it does
 * not answer, nobody can change that either: those that were global within the grace still are, no others.
 */
export function createGlobalRepositories(
  imageManager: ServiceClient,
  graceMs: number,
  now: () => number,
): FindGlobal {
  const seenAt = new Map<string, number>()
  const seenWithin = (ms: number) => (name: string) => now() - (seenAt.get(name) ?? -Infinity) < ms
  return async (names) => {
    const isKnown = seenWithin(REMEMBER_MS)
    const unknown = names.filter((name) => !isKnown(name))
    if (unknown.length === 0) return new Set(names)
    try {
      const { global } = await imageManager.post('/internal/scopes', { names: unknown }, ScopesAnswer)
      if (seenAt.size > MAX_NAMES) seenAt.clear()
      for (const name of unknown) seenAt.delete(name)
      for (const name of global) seenAt.set(name, now())
      return new Set(names.filter(isKnown))
    } catch (error) {
      if (error instanceof ServiceCallError) return new Set(names.filter(seenWithin(graceMs)))
      throw error
    }
  }
}
