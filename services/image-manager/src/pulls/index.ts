import type { Database } from '@registry-manager/database'
import type { PeriodicWork } from '@registry-manager/http'
import { createPeriodicWork } from '@registry-manager/http'
import type { FastifyBaseLogger } from 'fastify'
import { createListsRepository } from './lists-repository.ts'
import { createPullsRepository } from './pulls-repository.ts'
import type { RemoveOldPullsPorts } from './remove-old-pulls.ts'
import { removeOldPulls } from './remove-old-pulls.ts'

/** The repository objects of pulls, under the names that use cases give to their ports. */
export function createPullsRepositories(db: Database) {
  return { pulls: createPullsRepository(db), lists: createListsRepository(db) }
}

/** The use case of the internal route. */
export function createPulls({ pulls }: Pick<ReturnType<typeof createPullsRepositories>, 'pulls'>) {
  return { addPulls: pulls.addPulls }
}

const EVERY_MS = 6 * 3_600_000

/** Removes old counts of pulls several times a day. Replicas may do it at the same time. */
export function createPullsCleanup(
  ports: RemoveOldPullsPorts,
  log: Pick<FastifyBaseLogger, 'warn'>,
  everyMs = EVERY_MS,
): PeriodicWork {
  return createPeriodicWork({
    everyMs,
    waitFirst: true,
    work: (signal) => removeOldPulls(ports, signal),
    onError: (err) => log.warn({ err }, 'could not remove old counts of pulls; will retry within some hours'),
  })
}
