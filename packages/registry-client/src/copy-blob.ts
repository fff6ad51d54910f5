import { repositoryAccess } from '@registry-manager/oci'
import type { RegistryRequestOptions } from './registry-request.ts'
import { registryError } from './registry-request.ts'

/** A blob of another repository, by a digest that the registry finds it by. */
export interface BlobSource {
  readonly repository: string
  readonly digest: string
}

/** A blob may have a size of several gigabytes. */
const TIMEOUT_MS = 600_000

/**
 * Uploads a blob of another repository under a digest, without holding it in memory. Use it for a sha512 digest: the
 * registry cannot mount a blob by such a digest. The registry verifies the digest.
 */
export function createCopyBlob({ registryUrl, serviceToken, signal }: RegistryRequestOptions) {
  return async (repository: string, digest: string, source: BlobSource): Promise<boolean> => {
    const stop = AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), ...(signal === undefined ? [] : [signal])])
    const access = [repositoryAccess(repository, 'pull', 'push'), repositoryAccess(source.repository, 'pull')]
    const headers = { authorization: `Bearer ${await serviceToken(access)}` }
    const request = (path: string, init: RequestInit = {}) => {
      const method = init.method ?? 'GET'
      const failed = (cause: unknown) =>
        registryError(`${method} ${path} at the registry got no response`, undefined, cause)
      const all = { ...init, signal: stop, headers: { ...headers, ...init.headers } }
      return fetch(new URL(path, registryUrl), all).catch((cause: unknown) => {
        throw failed(cause)
      })
    }
    const expect = async (response: Response, status: number, what: string) => {
      if (response.status === status) return
      await response.body?.cancel()
      throw registryError(`${what} at the registry returned ${response.status}`, response.status)
    }

    const path = `/v2/${source.repository}/blobs/${source.digest}`
    const found = await request(path)
    if (found.status === 404) {
      await found.body?.cancel()
      return false
    }
    await expect(found, 200, `GET ${path}`)
    const uploads = `/v2/${repository}/blobs/uploads/`
    const started = await request(uploads, { method: 'POST' })
    await expect(started, 202, `POST ${uploads}`)
    await started.body?.cancel()
    const upload = new URL(started.headers.get('location') ?? '', registryUrl)
    upload.searchParams.set('digest', digest)
    const ended = await request(upload.pathname + upload.search, {
      method: 'PUT',
      headers: { 'content-type': 'application/octet-stream' },
      body: found.body,
      duplex: 'half',
    } as RequestInit)
    await expect(ended, 201, `PUT ${upload.pathname}`)
    await ended.body?.cancel()
    return true
  }
}
