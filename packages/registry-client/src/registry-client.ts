import { repositoryAccess } from '@registry-manager/oci'
import type { RegistryLists } from './registry-lists.ts'
import { createRegistryLists } from './registry-lists.ts'
import type { RegistryRequestOptions } from './registry-request.ts'
import { createRegistryRequest, isRegistryRefusal, registryFault } from './registry-request.ts'

export interface RegistryManifest {
  readonly mediaType: string
  readonly raw: Buffer
}

/** The registry behind, as image-manager works on it. Throws ServiceCallError when it does not answer as agreed. */
export interface RegistryClient extends RegistryLists {
  /** Digest of what a tag or digest names now; undefined when it names nothing. */
  headManifest(repository: string, reference: string): Promise<string | undefined>
  /** The same of a tag; undefined as well where the registry cannot serve what the tag names (500). */
  findTagged(repository: string, tag: string): Promise<string | undefined>
  /** Whether the registry has what a digest names, and be it that it cannot serve it as a manifest (500). */
  hasManifest(repository: string, digest: string): Promise<boolean>
  getManifest(repository: string, reference: string): Promise<RegistryManifest | undefined>
  putManifest(repository: string, reference: string, manifest: RegistryManifest): Promise<void>
  /** Whether there was one. */
  deleteManifest(repository: string, digest: string): Promise<boolean>
  /** The digest that the registry itself calls a blob by; undefined when there is none. */
  headBlob(repository: string, digest: string): Promise<string | undefined>
  deleteBlob(repository: string, digest: string): Promise<boolean>
}

export function createRegistryClient(options: RegistryRequestOptions): RegistryClient {
  const send = createRegistryRequest(options)
  const manifestPath = (repository: string, reference: string) => `/v2/${repository}/manifests/${reference}`

  const headManifest = async (repository: string, reference: string) => {
    const access = repositoryAccess(repository, 'pull')
    const path = manifestPath(repository, reference)
    const answer = await send('HEAD', path, access, 200)
    if (answer === undefined) return undefined
    const digest = answer.headers.get('docker-content-digest')
    // Taken for nothing there, it would be deleted from the index.
    if (digest === null)
      throw registryFault(`HEAD ${path} at the registry was answered without a digest`, 200)
    return digest
  }

  return {
    ...createRegistryLists(send),
    headManifest,

    async findTagged(repository, tag) {
      try {
        return await headManifest(repository, tag)
      } catch (error) {
        if (isRegistryRefusal(error)) return undefined
        throw error
      }
    },
    async hasManifest(repository, digest) {
      const access = repositoryAccess(repository, 'pull')
      try {
        return (await send('HEAD', manifestPath(repository, digest), access, 200)) !== undefined
      } catch (error) {
        if (isRegistryRefusal(error)) return true
        throw error
      }
    },
    async getManifest(repository, reference) {
      const access = repositoryAccess(repository, 'pull')
      const answer = await send('GET', manifestPath(repository, reference), access, 200)
      return answer && { mediaType: answer.headers.get('content-type') ?? '', raw: answer.raw }
    },
    async putManifest(repository, reference, manifest) {
      const access = repositoryAccess(repository, 'pull', 'push')
      await send('PUT', manifestPath(repository, reference), access, 201, { body: manifest })
    },
    async deleteManifest(repository, digest) {
      const access = repositoryAccess(repository, 'delete')
      return (await send('DELETE', manifestPath(repository, digest), access, 202)) !== undefined
    },
    async headBlob(repository, digest) {
      const access = repositoryAccess(repository, 'pull')
      const answer = await send('HEAD', `/v2/${repository}/blobs/${digest}`, access, 200)
      return answer?.headers.get('docker-content-digest') ?? undefined
    },
    async deleteBlob(repository, digest) {
      const access = repositoryAccess(repository, 'delete')
      return (await send('DELETE', `/v2/${repository}/blobs/${digest}`, access, 202)) !== undefined
    },
  }
}
