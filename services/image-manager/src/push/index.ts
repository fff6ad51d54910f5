import type { Database } from '@registry-manager/database'
import { createPendingPushesRepository } from './pending-pushes-repository.ts'

/** The repository objects of pushes, under the names that use cases give to their ports. */
export function createPushRepositories(db: Database) {
  return { pendingPushes: createPendingPushesRepository(db) }
}

export { createPush } from './push.ts'
