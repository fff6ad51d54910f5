import type { RegistryClient } from '@registry-manager/registry-client'
import { readReferences } from '../index/manifest.ts'
import type { DeleteUnreferencedPorts } from './delete-orphans.ts'
import { deleteUnreferenced } from './delete-orphans.ts'

export interface DeleteUnindexedPorts extends DeleteUnreferencedPorts {
  readonly registry: DeleteUnreferencedPorts['registry'] &
    Pick<RegistryClient, 'listTags' | 'findTagged' | 'getManifest' | 'deleteManifest'>
  readonly pendingPushes: {
    isPending(repository: string, digest: string): Promise<boolean>
  }
  readonly manifests: {
    /** Whether the index has the manifest. */
    hasManifest(repository: string, digest: string): Promise<boolean>
  }
  readonly deletions: {
    /** False if the deletion has ended. */
    renewDeletion(id: string): Promise<boolean>
  }
}

/**
 * Deletes the manifests that the registry's tags still reach after everything in the index is deleted, and the blobs
 * that they reference. The index refuses such a manifest (too many descriptors, for example), or it was pushed directly
 * to the registry and is not adopted yet. Skips pending pushes, which another process records, and pushes that
 * were recorded in the meantime, which the next turn of the deletion copies to the trash first. Returns false if the
 * deletion has ended.
 */
export async function deleteUnindexed(
  ports: DeleteUnindexedPorts,
  deletion: { readonly id: string; readonly name: string },
): Promise<boolean> {
  const { registry, pendingPushes, manifests, deletions } = ports
  const { id, name } = deletion
  const visited = new Set<string>()
  for (const tag of await registry.listTags(name)) {
    const tagged = await registry.findTagged(name, tag)
    const isPending = tagged !== undefined && (await pendingPushes.isPending(name, tagged))
    const queue = tagged === undefined || isPending ? [] : [tagged]
    for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
      if (visited.has(digest)) continue
      visited.add(digest)
      if (await manifests.hasManifest(name, digest)) continue
      const manifest = await registry.getManifest(name, digest)
      if (!(await deletions.renewDeletion(id))) return false
      await registry.deleteManifest(name, digest)
      const references = manifest === undefined ? [] : readReferences(manifest.raw)
      queue.push(...references.filter(({ kind }) => kind === 'manifest').map(({ digest }) => digest))
      const blobs = references.filter(({ kind }) => kind !== 'manifest').map(({ digest }) => digest)
      await deleteUnreferenced(ports, name, [...new Set(blobs)])
    }
  }
  return true
}
