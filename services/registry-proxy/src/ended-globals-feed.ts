import type { ServiceClient } from '@registry-manager/http'
import { EndedGlobals } from '@registry-manager/principal'
import type { LeastGeneration } from './ended-globals.ts'

export interface EndedGlobalsFeed {
  readonly leastGeneration: LeastGeneration
  start(): void
  stop(): void
}

const POLL_MS = 1000

/**
 * Polls image-manager each second for the repositories that ceased to be global. While it does not answer, the last
 * list holdsExactly: what is missing from it is bounded by the life of tokens.
 */
export function createEndedGlobalsFeed(imageManager: ServiceClient): EndedGlobalsFeed {
  let repositories: ReadonlyMap<string, number> | undefined
  let timer: NodeJS.Timeout | undefined

  const poll = async () => {
    try {
      const answer = await imageManager.get('/internal/ended-globals', EndedGlobals)
      repositories = new Map(Object.entries(answer.repositories))
    } catch {
      // Readiness does not depend on it: only tokens for global repositories need the list. The next poll is soon.
    }
    if (timer !== undefined) timer = setTimeout(poll, POLL_MS)
  }

  return {
    leastGeneration: (repository) => repositories && (repositories.get(String(repository)) ?? 0),
    start: () => {
      timer = setTimeout(poll, 0)
    },
    stop: () => {
      clearTimeout(timer)
      timer = undefined
    },
  }
}
