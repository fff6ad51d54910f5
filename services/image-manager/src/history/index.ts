import type { Database } from '@registry-manager/database'
import type { PeriodicWork } from '@registry-manager/http'
import { createPeriodicWork } from '@registry-manager/http'
import type { FastifyBaseLogger } from 'fastify'
import type { Repository } from '../index/repository.ts'
import type { RestoreTagPorts, RestoreTarget } from './restore-tag.ts'
import { restoreTag } from './restore-tag.ts'
import type { HistoryPage, ListTagHistoryPorts } from './tag-history.ts'
import { listTagHistory } from './tag-history.ts'
import { createTagHistoryRepository } from './tag-history-repository.ts'

/** The repository objects of the history, under the names that use cases give to their ports. */
export function createHistoryRepositories(db: Database) {
  return { tagHistory: createTagHistoryRepository(db) }
}

/** The use cases of the history routes. */
export function createHistory(ports: ListTagHistoryPorts & RestoreTagPorts) {
  return {
    listTagHistory: (repositoryId: string, tag: string, page: HistoryPage) =>
      listTagHistory(ports, repositoryId, tag, page),
    restoreTag: (repository: Repository, tag: string, target: RestoreTarget) =>
      restoreTag(ports, repository, tag, target),
  }
}

const [EVERY_MS, DAY_MS] = [3_600_000, 86_400_000]

export interface HistoryCleanupOptions {
  readonly tagHistory: { removePeriods(before: Date): Promise<boolean> }
  /** Days for which a period stays after its end; 0 keeps all. */
  readonly days: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Removes old history every hour, in small transactions. Replicas share the work. */
export function createHistoryCleanup(
  { tagHistory, days, now }: HistoryCleanupOptions,
  log: Pick<FastifyBaseLogger, 'warn'>,
  everyMs = EVERY_MS,
): PeriodicWork {
  return createPeriodicWork({
    everyMs,
    waitFirst: true,
    async work(signal) {
      if (days === 0) return
      const before = new Date(now() - days * DAY_MS)
      while (!signal.aborted && (await tagHistory.removePeriods(before)));
    },
    onError: (err) => log.warn({ err }, 'could not remove old history of tags; will retry within an hour'),
  })
}
