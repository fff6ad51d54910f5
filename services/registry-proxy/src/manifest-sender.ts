import { ServiceCallError } from '@registry-manager/http'
import { retryOn500 } from '@registry-manager/registry-client'

export interface ManifestAnswer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: Buffer
}

export type SendManifest = (
  path: string,
  headers: Readonly<Record<string, string>>,
  manifest: Buffer,
) => Promise<ManifestAnswer>

/** Storing a manifest is quick; verifying what it names may take distribution a while on slow storage. */
const TIMEOUT_MS = 60_000

/**
 * Sends a manifest to the registry, and reads the answer whole. Not bound to the client's connection: a push
 * that the registry took is written down even when the client has gone. Throws ServiceCallError.
 */
export function createManifestSender(registryUrl: string): SendManifest {
  return async (path, headers, manifest) => {
    try {
      const response = await retryOn500(new URL(path, registryUrl), {
        method: 'PUT',
        headers,
        // Not copied: it may be 4 MiB long, and fetch makes a copy of its own.
        body: manifest as Buffer<ArrayBuffer>,
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      const body = Buffer.from(await response.arrayBuffer())
      return { status: response.status, headers: Object.fromEntries(response.headers), body }
    } catch (cause) {
      throw new ServiceCallError('the registry did not answer', { dependency: 'registry', cause })
    }
  }
}
