import { repositoryAccess } from '@registry-manager/oci'
import type { BlobSource } from './copy-blob.ts'
import { createCopyBlob } from './copy-blob.ts'
import type { RegistryLists } from './registry-lists.ts'
import { createRegistryLists } from './registry-lists.ts'
import type { RegistryRequestOptions, RegistryResponse } from './registry-request.ts'
import { createRegistryRequest, isRegistryRefusal, registryError } from './registry-request.ts'

export interface RegistryManifest {
  readonly mediaType: string
  readonly raw: Buffer
}

export interface FoundManifest extends RegistryManifest {
  /** The registry's own digest of the manifest. That of a schema 1 manifest is not the digest of its bytes. */
  readonly digest: string
}

/** The API of the registry. An unexpected or missing response is thrown as a ServiceCallError. */
export interface RegistryClient extends RegistryLists {
  /** The digest that a reference resolves to; undefined if the registry has no such manifest. */
  headManifest(repository: string, reference: string): Promise<string | undefined>
  /** Like headManifest, for a tag; also undefined if the registry cannot serve the tagged manifest (500). */
  findTagged(repository: string, tag: string): Promise<string | undefined>
  /** Whether the registry has a manifest of this digest; true also if it cannot serve the manifest (500). */
  hasManifest(repository: string, digest: string): Promise<boolean>
  getManifest(repository: string, reference: string): Promise<FoundManifest | undefined>
  putManifest(repository: string, reference: string, manifest: RegistryManifest): Promise<void>
  /** Returns whether the manifest existed. */
  deleteManifest(repository: string, digest: string): Promise<boolean>
  /** The registry's own digest of a blob; undefined if it has no such blob. */
  headBlob(repository: string, digest: string): Promise<string | undefined>
  /** Returns whether the blob existed. */
  deleteBlob(repository: string, digest: string): Promise<boolean>
  /**
   * Makes a blob of another repository a blob of this one, without a copy of its bytes. Returns false if the other
   * repository does not have it. Not for sha512: distribution 2.8 responds 201, but does not find the blob afterwards.
   */
  mountBlob(repository: string, digest: string, from: string): Promise<boolean>
  /** Uploads a blob of another repository under a digest. Returns false if the other repository does not have it. */
  copyBlob(repository: string, digest: string, source: BlobSource): Promise<boolean>
}

/** The path of a blob in distribution's storage. Source: distribution, registry/storage/paths.go, blobDataPathSpec. */
const STORED_BLOB = /\/blobs\/sha256\/[0-9a-f]{2}\/([0-9a-f]{64})\/data$/

/**
 * The digest of a blob in a signed URL. distribution redirects requests for blobs if it stores them in S3 and
 * `storage.redirect.disable` is not set; such a response has no Docker-Content-Digest.
 */
function digestInStorage(location: string | null): string | undefined {
  const hex = STORED_BLOB.exec(URL.parse(location ?? '')?.pathname ?? '')?.[1]
  return hex && `sha256:${hex}`
}

export function createRegistryClient(options: RegistryRequestOptions): RegistryClient {
  const send = createRegistryRequest(options)
  const manifestPath = (repository: string, reference: string) => `/v2/${repository}/manifests/${reference}`

  const headManifest = async (repository: string, reference: string) => {
    const access = repositoryAccess(repository, 'pull')
    const path = manifestPath(repository, reference)
    const response = await send('HEAD', path, access, 200)
    return response && digestOf(response, `HEAD ${path}`)
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
      const path = manifestPath(repository, reference)
      const response = await send('GET', path, access, 200)
      if (response === undefined) return undefined
      const mediaType = response.headers.get('content-type') ?? ''
      return { mediaType, raw: response.raw, digest: digestOf(response, `GET ${path}`) }
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
      const path = `/v2/${repository}/blobs/${digest}`
      const response = await send('HEAD', path, access, 200, { alternative: 307 })
      if (response === undefined) return undefined
      const { headers } = response
      const found = headers.get('docker-content-digest') ?? digestInStorage(headers.get('location'))
      // Without this error the blob would count as missing.
      if (found === undefined) throw registryError(`HEAD ${path} at the registry returned no digest`, 200)
      return found
    },
    async deleteBlob(repository, digest) {
      const access = repositoryAccess(repository, 'delete')
      return (await send('DELETE', `/v2/${repository}/blobs/${digest}`, access, 202)) !== undefined
    },
    async mountBlob(repository, digest, from) {
      const path = `/v2/${repository}/blobs/uploads/?${new URLSearchParams({ mount: digest, from })}`
      const more = { alternative: 202, source: repositoryAccess(from, 'pull') }
      const response = await send('POST', path, repositoryAccess(repository, 'pull', 'push'), 201, more)
      if (response?.status !== 202) return response !== undefined
      // The registry has started an upload instead.
      const { pathname, search } = new URL(response.headers.get('location') ?? '', options.registryUrl)
      await send('DELETE', pathname + search, repositoryAccess(repository, 'delete'), 204)
      return false
    },
    copyBlob: createCopyBlob(options),
  }
}

function digestOf({ headers }: RegistryResponse, what: string): string {
  const digest = headers.get('docker-content-digest')
  // Without this error the manifest would count as missing and be deleted from the index.
  if (digest === null) throw registryError(`${what} at the registry returned no Docker-Content-Digest`, 200)
  return digest
}
