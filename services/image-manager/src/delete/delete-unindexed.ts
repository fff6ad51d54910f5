import type { RemovePorts } from './remove-ports.ts'
import type { RegistryClient } from '@registry-manager/registry-client'
import { readReferences } from '../index/manifest.ts'
import type { RemoveBlobsPorts } from './delete-blobs.ts'
import { deleteBlobs } from './delete-blobs.ts'

export interface RemoveUnindexedPorts extends RemoveBlobsPorts {
  readonly registry: RemoveBlobsPorts['registry'] &
    Pick<RegistryClient, 'listTags' | 'findTagged' | 'getManifest' | 'deleteManifest'>
  readonly deletions: RemovePorts['deletions']
  readonly pendingPushes: RemovePorts['pendingPushes']
}

/**
 * Deletes what the registry's tags of a repository still reach when all that the index knows is deleted: manifests that
 * the index refuses (with too many descriptors, say), or that were pushed past it and not adopted yet; and the
 * blobs that they name. A push that is not recorded yet is left to whoever records it. False where the deletion is over by now.
 */
export async function deleteUnindexed(
  ports: RemoveUnindexedPorts,
  deletion: { readonly id: string; readonly name: string },
): Promise<boolean> {
  const { registry, deletions, pendingPushes } = ports
  const { id, name } = deletion
  const seen = new Set<string>()
  for (const tag of await registry.listTags(name)) {
    const tagged = await registry.findTagged(name, tag)
    const isPending = tagged !== undefined && (await pendingPushes.isPending(name, tagged))
    const left = tagged === undefined || isPending ? [] : [tagged]
    for (let digest = left.pop(); digest !== undefined; digest = left.pop()) {
      if (seen.has(digest)) continue
      seen.add(digest)
      const manifest = await registry.getManifest(name, digest)
      if (!(await deletions.goOnDeleting(id))) return false
      await registry.deleteManifest(name, digest)
      const named = manifest === undefined ? [] : readReferences(manifest.raw)
      left.push(...named.filter(({ kind }) => kind === 'manifest').map((one) => one.digest))
      const blobs = named.filter(({ kind }) => kind !== 'manifest').map((one) => one.digest)
      await deleteBlobs(ports, name, [...new Set(blobs)])
    }
  }
  return true
}
