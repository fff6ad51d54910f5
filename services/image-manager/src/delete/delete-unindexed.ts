import type { RegistryClient } from '@registry-manager/registry-client'
import { readReferences } from '../index/manifest.ts'
import type { DeleteBlobsPorts } from './delete-blobs.ts'
import { deleteBlobs } from './delete-blobs.ts'

export interface DeleteUnindexedPorts extends DeleteBlobsPorts {
  readonly registry: DeleteBlobsPorts['registry'] &
    Pick<RegistryClient, 'listTags' | 'findTagged' | 'getManifest' | 'deleteManifest'>
  readonly pendingPushes: {
    isPending(repository: string, digest: string): Promise<boolean>
  }
  readonly deletions: {
    /** False if the deletion has ended. */
    renewDeletion(id: string): Promise<boolean>
  }
}

/**
 * Deletes the manifests that the registry's tags still reach after everything in the index is deleted, and the blobs
 * that they reference. The index refuses such a manifest (too many descriptors, for example), or it was pushed directly
 * to the registry and is not adopted yet. Skips pending pushes: recording them is the task of another process. Returns
 * false if the deletion has ended.
 */
export async function deleteUnindexed(
  ports: DeleteUnindexedPorts,
  deletion: { readonly id: string; readonly name: string },
): Promise<boolean> {
  const { registry, pendingPushes, deletions } = ports
  const { id, name } = deletion
  const visited = new Set<string>()
  for (const tag of await registry.listTags(name)) {
    const tagged = await registry.findTagged(name, tag)
    const isPending = tagged !== undefined && (await pendingPushes.isPending(name, tagged))
    const queue = tagged === undefined || isPending ? [] : [tagged]
    for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
      if (visited.has(digest)) continue
      visited.add(digest)
      const manifest = await registry.getManifest(name, digest)
      if (!(await deletions.renewDeletion(id))) return false
      await registry.deleteManifest(name, digest)
      const references = manifest === undefined ? [] : readReferences(manifest.raw)
      queue.push(...references.filter(({ kind }) => kind === 'manifest').map(({ digest }) => digest))
      const blobs = references.filter(({ kind }) => kind !== 'manifest').map(({ digest }) => digest)
      await deleteBlobs(ports, name, [...new Set(blobs)])
    }
  }
  return true
}
