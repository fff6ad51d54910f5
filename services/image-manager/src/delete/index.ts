import type { Database } from '@registry-manager/database'
import type { PeriodicWork } from '@registry-manager/http'
import { createPeriodicWork } from '@registry-manager/http'
import type { FastifyBaseLogger } from 'fastify'
import type { DeleteToTrashPorts } from '../trash/delete-to-trash.ts'
import { deleteToTrash } from '../trash/delete-to-trash.ts'
import { createTrashRepositories } from '../trash/index.ts'
import { createBlobsRepository } from './blobs-repository.ts'
import type { DeleteManifestOptions } from './delete-manifest.ts'
import type { DeleteOldOrphansPorts } from './delete-orphans.ts'
import { deleteOldOrphans } from './delete-orphans.ts'
import type { DeleteRepositoryPorts } from './delete-repositories.ts'
import { deleteRepository } from './delete-repositories.ts'
import type { DeleteUnprotectedPorts } from './delete-unprotected.ts'
import { deleteUnprotectedBlob, deleteUnprotectedTag } from './delete-unprotected.ts'
import { createDeletionsRepository } from './deletions-repository.ts'
import { createRequestedDeletionsRepository } from './requested-deletions-repository.ts'
import { createRemovedContentsRepository } from './removed-contents-repository.ts'
import { createRemovalsRepository } from './removals-repository.ts'
import type { RecordDeletionOptions } from './requested-deletion.ts'
import { recordDeletion } from './requested-deletion.ts'
import { createReferencesRepository } from './references-repository.ts'

/** The repository objects of deletions, under the names that use cases give to their ports. */
export function createDeleteRepositories(db: Database) {
  return {
    deletions: createDeletionsRepository(db),
    removedContents: createRemovedContentsRepository(db),
    removals: createRemovalsRepository(db),
    requestedDeletions: createRequestedDeletionsRepository(db),
    references: createReferencesRepository(db),
    blobs: createBlobsRepository(db),
    ...createTrashRepositories(db),
  }
}

export type DeletePorts = DeleteToTrashPorts & DeleteRepositoryPorts & DeleteUnprotectedPorts

/**
 * The use cases of deletions by clients. They refuse to delete content that an immutable tag needs, and record the
 * principal. Deleted manifests and repositories stay in the trash for `trashDays`.
 */
export function createDeletion(ports: DeletePorts, trashDays: number) {
  return {
    deleteManifest: (
      repository: string,
      digest: string,
      options?: DeleteManifestOptions,
      recording?: RecordDeletionOptions,
    ) =>
      recordDeletion(
        ports,
        { kind: 'manifest', repository, digest },
        () =>
          deleteToTrash(ports, repository, digest, { ...options, unlessProtected: true, days: trashDays }),
        ({ outcome }) => outcome === 'deleted',
        recording,
      ),
    deleteTag: (repository: string, tag: string, recording?: RecordDeletionOptions) =>
      deleteUnprotectedTag(ports, repository, tag, recording),
    deleteBlob: (repository: string, digest: string) => deleteUnprotectedBlob(ports, repository, digest),
    deleteRepository: (name: string) => deleteRepository(ports, name, trashDays),
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
