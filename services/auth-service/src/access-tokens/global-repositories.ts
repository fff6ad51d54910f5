import { ScopesAnswer } from '@registry-manager/principal'
import { ServiceCallError } from '@registry-manager/http'
import type { ServiceClient } from '@registry-manager/http'
import type { GlobalMark } from '@registry-manager/oci'
import type { Globals } from './grant.ts'

export type FindGlobal = (names: readonly string[]) => Promise<Globals>

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
  const seen = new Map<string, { at: number; mark: GlobalMark | undefined }>()
  const seenWithin = (ms: number) => (name: string) => now() - (seen.get(name)?.at ?? -Infinity) < ms
  const toGlobals = (names: readonly string[]) => new Map(names.map((name) => [name, seen.get(name)?.mark]))
  return async (names) => {
    const isKnown = seenWithin(REMEMBER_MS)
    const unknown = names.filter((name) => !isKnown(name))
    if (unknown.length === 0) return toGlobals(names)
    try {
      const { global, marks } = await imageManager.post('/internal/scopes', { names: unknown }, ScopesAnswer)
      if (seen.size > MAX_NAMES) seen.clear()
      for (const name of unknown) seen.delete(name)
      for (const name of global) seen.set(name, { at: now(), mark: marks?.[name] })
      return toGlobals(names.filter(isKnown))
    } catch (error) {
      if (error instanceof ServiceCallError) return toGlobals(names.filter(seenWithin(graceMs)))
      throw error
    }
  }
}
