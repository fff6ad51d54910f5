import type { RegistryClient } from '@registry-manager/registry-client'
import type { IndexRepositories } from '../index/index.ts'
import type { createPendingPushesRepository } from '../push/pending-pushes-repository.ts'
import type { createDeletions } from './deletions-repository.ts'
import type { createPendingRemovals } from './pending-removals.ts'
import type { createRepositoryBlobs } from './repository-blobs.ts'

/** Everything that deletions work on. */
export type RemovePorts = IndexRepositories & {
  readonly registry: RegistryClient
  readonly pendingPushes: ReturnType<typeof createPendingPushesRepository>
  readonly deletions: ReturnType<typeof createDeletions>
  readonly removals: ReturnType<typeof createPendingRemovals>
  readonly blobs: ReturnType<typeof createRepositoryBlobs>
}
