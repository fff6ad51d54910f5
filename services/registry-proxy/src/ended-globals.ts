import type { ServiceClient } from '@registry-manager/http'
import { createPeriodicWork } from '@registry-manager/http'
import type { Access } from '@registry-manager/oci'
import type { Principal } from '@registry-manager/principal'
import { EndedGlobals } from '@registry-manager/principal'

/** The least valid generation of a repository's global scope; 0 if it never ended. Undefined if not loaded yet. */
export type LeastGeneration = (repository: number) => number | undefined

/**
 * Removes the access that a token has only because a repository was global, if the repository is no longer global: its
 * scope was changed, or it was deleted or emptied. Undefined if the list has not been loaded yet.
 */
export function withoutEndedGlobals(
  principal: Principal,
  leastGeneration: LeastGeneration,
): Principal | undefined {
  const { access } = principal
  if (access === null || access.every(({ global }) => global === undefined)) return principal
  const left: Access[] = []
  for (const entry of access) {
    if (entry.global !== undefined) {
      const [repository, generation] = entry.global
      const least = leastGeneration(repository)
      if (least === undefined) return undefined
      if (generation < least) continue
    }
    left.push(entry)
  }
  return { ...principal, access: left }
}

export interface EndedGlobalsFeed {
  readonly leastGeneration: LeastGeneration
  start(): void
  stop(): Promise<void>
}

const POLL_MS = 1000

/**
 * Polls image-manager each second for the repositories that are no longer global. While image-manager is unavailable
 * the last list stays valid. Changes that it lacks take effect when the tokens expire.
 */
export function createEndedGlobalsFeed(imageManager: Pick<ServiceClient, 'get'>): EndedGlobalsFeed {
  let generations: ReadonlyMap<string, number> | undefined
  const polling = createPeriodicWork({
    everyMs: POLL_MS,
    // Errors are ignored. Readiness does not depend on the list: only tokens for global repositories need it.
    work: async () => {
      const { repositories } = await imageManager.get('/internal/ended-globals', EndedGlobals)
      generations = new Map(Object.entries(repositories))
    },
  })
  return {
    leastGeneration: (repository) => generations && (generations.get(String(repository)) ?? 0),
    start: polling.start,
    stop: polling.stop,
  }
}
