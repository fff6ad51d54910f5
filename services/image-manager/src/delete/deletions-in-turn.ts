import { ServiceCallError } from '@registry-manager/http'
import type { RegistryClient } from '@registry-manager/registry-client'

/**
 * The registry, with the manifests of a repository deleted one at a time. distribution 2.8 deletes a manifest, then
 * reads all tags to take its own away, and fails with 500 where another deletion takes one from under it. Where that
 * happens all the same, by another replica, it counts whether the manifest is gone.
 */
export function withDeletionsInTurn<Client extends RegistryClient>(registry: Client): Client {
  const last = new Map<string, Promise<unknown>>()

  const deleteManifest = async (repository: string, digest: string): Promise<boolean> => {
    try {
      return await registry.deleteManifest(repository, digest)
    } catch (error) {
      if (!(error instanceof ServiceCallError) || error.status !== 500) throw error
      if ((await registry.headManifest(repository, digest)) !== undefined) throw error
      return true
    }
  }

  return {
    ...registry,
    async deleteManifest(repository, digest) {
      const before = last.get(repository)
      const mine = (before ?? Promise.resolve()).then(() => deleteManifest(repository, digest))
      const settled = mine.catch(() => undefined)
      last.set(repository, settled)
      try {
        return await mine
      } finally {
        if (last.get(repository) === settled) last.delete(repository)
      }
    },
  }
}
