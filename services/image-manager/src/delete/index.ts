import type { Database } from '@registry-manager/database'
import type { RemovePorts } from './remove-ports.ts'
import { deleteOneBlob } from './delete-blobs.ts'
import { deleteManifest, deleteRepository, deleteTag } from './delete.ts'
import { createDeletions } from './deletions-repository.ts'
import { createPendingRemovals } from './pending-removals.ts'
import { createRepositoryBlobs } from './repository-blobs.ts'

export function createDeleteRepositories(db: Database) {
  return {
    deletions: createDeletions(db),
    removals: createPendingRemovals(db),
    blobs: createRepositoryBlobs(db),
  }
}

/** What the routes of deletions call. */
export function createDeletion(ports: RemovePorts) {
  return {
    deleteManifest: (repository: string, digest: string, options: { readonly unlessInUse: boolean }) =>
      deleteManifest(ports, repository, digest, options),
    deleteTag: (repository: string, tag: string) => deleteTag(ports, repository, tag),
    deleteBlob: (repository: string, digest: string) => deleteOneBlob(ports, repository, digest),
    deleteRepository: (name: string) => deleteRepository(ports, name),
  }
}
