import type { Access } from '@registry-manager/oci'
import { repositoryAccess } from '@registry-manager/oci'
import { ServiceCallError } from '@registry-manager/service-kit'
import { fetchAgain } from './fetch-again.ts'

export interface RegistryManifest {
  readonly mediaType: string
  readonly raw: Buffer
}

/** The registry behind, as image-manager works on it. Throws ServiceCallError when it does not answer as agreed. */
export interface RegistryClient {
  /** Digest of what a tag or digest names now; undefined when it names nothing. */
  headManifest(repository: string, reference: string): Promise<string | undefined>
  getManifest(repository: string, reference: string): Promise<RegistryManifest | undefined>
  putManifest(repository: string, reference: string, manifest: RegistryManifest): Promise<void>
  /** Whether there was one. */
  deleteManifest(repository: string, digest: string): Promise<boolean>
  /** The digest that the registry itself calls a blob by; undefined when there is none. */
  headBlob(repository: string, digest: string): Promise<string | undefined>
  deleteBlob(repository: string, digest: string): Promise<boolean>
}

export interface RegistryClientOptions {
  readonly registryUrl: string
  readonly serviceToken: (access: readonly Access[]) => Promise<string>
  readonly timeoutMs?: number
}

/** Every type of manifest: what was pushed is what comes back. */
const ACCEPT = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ')

export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  const { registryUrl, serviceToken, timeoutMs = 15_000 } = options

  const send = async (
    method: string,
    path: string,
    access: Access,
    expected: number,
    body?: RegistryManifest,
  ) => {
    const what = `${method} ${path} at the registry`
    const token = await serviceToken([access])
    const response = await fetchAgain(new URL(path, registryUrl), {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        accept: ACCEPT,
        ...(body !== undefined && { 'content-type': body.mediaType }),
      },
      body: body && new Uint8Array(body.raw),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    }).catch((cause: unknown) => {
      throw new ServiceCallError(`${what} was not answered`, undefined, { cause })
    })
    const raw = Buffer.from(await response.arrayBuffer())
    if (response.status === 404) return undefined
    if (response.status !== expected) {
      throw new ServiceCallError(`${what} was answered ${response.status}`, response.status)
    }
    return { headers: response.headers, raw }
  }
  const manifestPath = (repository: string, reference: string) => `/v2/${repository}/manifests/${reference}`

  return {
    async headManifest(repository, reference) {
      const access = repositoryAccess(repository, 'pull')
      const answer = await send('HEAD', manifestPath(repository, reference), access, 200)
      return answer?.headers.get('docker-content-digest') ?? undefined
    },
    async getManifest(repository, reference) {
      const access = repositoryAccess(repository, 'pull')
      const answer = await send('GET', manifestPath(repository, reference), access, 200)
      return answer && { mediaType: answer.headers.get('content-type') ?? '', raw: answer.raw }
    },
    async putManifest(repository, reference, manifest) {
      const access = repositoryAccess(repository, 'pull', 'push')
      await send('PUT', manifestPath(repository, reference), access, 201, manifest)
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
