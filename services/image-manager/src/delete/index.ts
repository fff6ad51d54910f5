import type { Database } from '@registry-manager/database'
import type { PeriodicWork } from '@registry-manager/http'
import { createPeriodicWork } from '@registry-manager/http'
import type { FastifyBaseLogger } from 'fastify'
import { createBlobsRepository } from './blobs-repository.ts'
import type { DeleteOneBlobPorts } from './delete-blobs.ts'
import { deleteOneBlob } from './delete-blobs.ts'
import type { DeleteManifestOptions, DeleteManifestPorts } from './delete-manifest.ts'
import { deleteManifest } from './delete-manifest.ts'
import type { DeleteOldOrphansPorts } from './delete-orphans.ts'
import { deleteOldOrphans } from './delete-orphans.ts'
import type { DeleteTagPorts } from './delete-tag.ts'
import { deleteTag } from './delete-tag.ts'
import type { DeleteRepositoryPorts } from './delete-repositories.ts'
import { deleteRepository } from './delete-repositories.ts'
import { createDeletionsRepository } from './deletions-repository.ts'
import { createRequestedDeletionsRepository } from './requested-deletions-repository.ts'
import { createRemovalsRepository } from './removals-repository.ts'
import type { RecordDeletionPorts } from './requested-deletion.ts'
import { recordDeletion } from './requested-deletion.ts'
import { createReferencesRepository } from './references-repository.ts'

/** The repository objects of deletions, under the names that use cases give to their ports. */
export function createDeleteRepositories(db: Database) {
  return {
    deletions: createDeletionsRepository(db),
    removals: createRemovalsRepository(db),
    requestedDeletions: createRequestedDeletionsRepository(db),
    references: createReferencesRepository(db),
    blobs: createBlobsRepository(db),
  }
}

export type DeletePorts = DeleteManifestPorts &
  DeleteTagPorts &
  DeleteRepositoryPorts &
  DeleteOneBlobPorts &
  RecordDeletionPorts

/** The use cases that delete what a client names, and record who did it. */
export function createDeletion(ports: DeletePorts) {
  return {
    deleteManifest: (repository: string, digest: string, options?: DeleteManifestOptions) =>
      recordDeletion(
        ports,
        { kind: 'manifest', repository, digest },
        () => deleteManifest(ports, repository, digest, options),
        ({ outcome }) => outcome === 'deleted',
      ),
    deleteTag: (repository: string, tag: string) =>
      recordDeletion(
        ports,
        { kind: 'tag', repository, tag },
        () => deleteTag(ports, repository, tag),
        Boolean,
      ),
    deleteBlob: (repository: string, digest: string) =>
      recordDeletion(
        ports,
        { kind: 'blob', repository, digest },
        () => deleteOneBlob(ports, repository, digest),
        Boolean,
      ),
    deleteRepository: (name: string) => deleteRepository(ports, name),
  }
}

const ORPHANS_MS = 60_000

export type OrphanSchedulePorts = Omit<DeleteOldOrphansPorts, 'registry'> & {
  /** Creates a client whose requests the signal aborts. */
  readonly createRegistry: (signal: AbortSignal) => DeleteOldOrphansPorts['registry']
}

/** Deletes orphans that earlier deletions left over, once a minute. `stop` aborts requests to the registry. */
export function createOrphanSchedule(
  { createRegistry, ...ports }: OrphanSchedulePorts,
  log: Pick<FastifyBaseLogger, 'info' | 'warn'>,
  everyMs = ORPHANS_MS,
): PeriodicWork {
  return createPeriodicWork({
    everyMs,
    waitFirst: true,
    work: async (signal) => {
      const blobs = await deleteOldOrphans({ ...ports, registry: createRegistry(signal) }, signal)
      if (blobs > 0) log.info({ blobs }, 'orphans of earlier deletions were checked and deleted')
    },
    onError: (err) =>
      log.warn({ err }, 'could not delete orphans of earlier deletions; will retry within a minute'),
  })
}
