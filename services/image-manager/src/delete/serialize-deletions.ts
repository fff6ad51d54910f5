import { ServiceCallError } from '@registry-manager/http'
import type { RegistryClient } from '@registry-manager/registry-client'

/**
 * Wraps a registry client: the manifests of one repository are deleted one at a time.
 *
 * distribution 2.8 deletes a manifest, and then reads all tags of the repository to delete those of the manifest. It
 * answers 500 if a concurrent deletion removes a tag during that walk. Another replica can still cause this race, so
 * a 500 counts as success if the manifest is gone.
 */
export function serializeDeletions<Client extends Pick<RegistryClient, 'headManifest' | 'deleteManifest'>>(
  registry: Client,
): Client {
  const lastByRepository = new Map<string, Promise<unknown>>()

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
    async deleteManifest(repository: string, digest: string): Promise<boolean> {
      const previous = lastByRepository.get(repository) ?? Promise.resolve()
      const deletion = previous.then(() => deleteManifest(repository, digest))
      const ended = deletion.catch(() => undefined)
      lastByRepository.set(repository, ended)
      try {
        return await deletion
      } finally {
        if (lastByRepository.get(repository) === ended) lastByRepository.delete(repository)
      }
    },
  }
}
