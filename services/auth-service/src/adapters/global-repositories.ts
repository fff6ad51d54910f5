import { ScopesAnswer, ServiceCallError } from '@registry-manager/service-kit'
import type { ServiceClient } from '@registry-manager/service-kit'

export type FindGlobal = (names: readonly string[]) => Promise<ReadonlySet<string>>

/** A repository that ceases to be global, or becomes it, is noticed after this at the latest. */
const REMEMBER_MS = 5000
const MAX_NAMES = 10_000

/**
 * Asks image-manager which repositories are global: those that every signed-in account may pull. While it
 * does not answer none is, but for what is remembered.
 */
export function createGlobalRepositories(imageManager: ServiceClient, now: () => number): FindGlobal {
  const known = new Map<string, { global: boolean; until: number }>()
  const isFresh = (name: string) => (known.get(name)?.until ?? 0) > now()
  return async (names) => {
    const unknown = names.filter((name) => !isFresh(name))
    if (unknown.length > 0) {
      try {
        const { global } = await imageManager.post('/internal/scopes', { names: unknown }, ScopesAnswer)
        const until = now() + REMEMBER_MS
        if (known.size > MAX_NAMES) known.clear()
        for (const name of unknown) known.set(name, { global: global.includes(name), until })
      } catch (error) {
        if (!(error instanceof ServiceCallError)) throw error
      }
    }
    return new Set(names.filter((name) => isFresh(name) && known.get(name)?.global === true))
  }
}
