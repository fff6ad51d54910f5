import type { ServiceClient } from '@registry-manager/http'
import { createPeriodicWork } from '@registry-manager/http'
import type { Access } from '@registry-manager/oci'
import type { Principal } from '@registry-manager/principal'
import { EndedGlobalScopes } from '@registry-manager/principal'

/** The lowest valid generation of a repository's global scope; 0 if it never ended. Undefined if not loaded yet. */
export type LowestGeneration = (repository: number) => number | undefined

/**
 * Removes the access that a token has only because a repository was global, if the repository is no longer global: its
 * scope was changed, or it was deleted or emptied. Undefined if the list has not been loaded yet.
 */
export function withoutEndedGlobalScopes(
  principal: Principal,
  lowestGeneration: LowestGeneration,
): Principal | undefined {
  const { access } = principal
  if (access === null || access.every(({ global }) => global === undefined)) return principal
  const left: Access[] = []
  for (const entry of access) {
    if (entry.global !== undefined) {
      const [repository, generation] = entry.global
      const lowest = lowestGeneration(repository)
      if (lowest === undefined) return undefined
      if (generation < lowest) continue
    }
    left.push(entry)
  }
  return { ...principal, access: left }
}

export interface EndedGlobalScopesFeed {
  readonly lowestGeneration: LowestGeneration
  start(): void
  stop(): Promise<void>
}

const POLL_MS = 1000

/**
 * Polls image-manager each second for the repositories that are no longer global. While image-manager is unavailable
 * the last list stays valid. Changes that it lacks take effect when the tokens expire.
 */
export function createEndedGlobalScopesFeed(imageManager: Pick<ServiceClient, 'get'>): EndedGlobalScopesFeed {
  let generations: ReadonlyMap<string, number> | undefined
  const polling = createPeriodicWork({
    everyMs: POLL_MS,
    // Errors are ignored. Readiness does not depend on the list: only tokens for global repositories need it.
    work: async () => {
      const { repositories } = await imageManager.get('/internal/ended-globals', EndedGlobalScopes)
      generations = new Map(Object.entries(repositories))
    },
  })
  return {
    lowestGeneration: (repository) => generations && (generations.get(String(repository)) ?? 0),
    start: polling.start,
    stop: polling.stop,
  }
}
