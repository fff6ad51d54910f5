import { ScopesAnswer, ServiceCallError } from '@registry-manager/service-kit'
import type { ServiceClient } from '@registry-manager/service-kit'

export type FindGlobal = (names: readonly string[]) => Promise<ReadonlySet<string>>

/** A repository that ceases to be global is noticed after this at the latest. One that becomes it, at once. */
const REMEMBER_MS = 5000
const MAX_NAMES = 10_000

/**
 * Asks image-manager which repositories are global: those that every signed-in account may pull. While it
 * does not answer none is, but for what is remembered.
 */
export function createGlobalRepositories(imageManager: ServiceClient, now: () => number): FindGlobal {
  const globalUntil = new Map<string, number>()
  const isKnown = (name: string) => (globalUntil.get(name) ?? 0) > now()
  return async (names) => {
    const unknown = names.filter((name) => !isKnown(name))
    if (unknown.length > 0) {
      try {
        const { global } = await imageManager.post('/internal/scopes', { names: unknown }, ScopesAnswer)
        if (globalUntil.size > MAX_NAMES) globalUntil.clear()
        for (const name of global) globalUntil.set(name, now() + REMEMBER_MS)
      } catch (error) {
        if (!(error instanceof ServiceCallError)) throw error
      }
    }
    return new Set(names.filter(isKnown))
  }
}
