import type { Access } from '@registry-manager/oci'
import { ServiceCallError } from '@registry-manager/http'
import { retryOn500 } from '@registry-manager/registry-client'

export interface RegistryRequestOptions {
  readonly registryUrl: string
  readonly serviceToken: (access: readonly Access[]) => Promise<string>
  readonly timeoutMs?: number
  /** Breaks off what is under way. */
  readonly signal?: AbortSignal
}

export interface RegistryAnswer {
  readonly headers: Headers
  readonly raw: Buffer
}

/** Answers undefined when there is no such thing (404). Throws ServiceCallError for every other surprise. */
export type RegistryRequest = (
  method: string,
  path: string,
  access: Access,
  expected: number,
  more?: {
    readonly body?: { readonly mediaType: string; readonly raw: Buffer }
    readonly timeoutMs?: number
  },
) => Promise<RegistryAnswer | undefined>

/** Every type of manifest: what was pushed is what comes back. */
const ACCEPT = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ')

const DEPENDENCY = 'registry'

/** Requests to the registry behind, each with a token of our own for just that. */
export function createRegistryRequest(options: RegistryRequestOptions): RegistryRequest {
  const { registryUrl, serviceToken } = options
  return async (method, path, access, expected, { body, timeoutMs = options.timeoutMs ?? 15_000 } = {}) => {
    const what = `${method} ${path} at the registry`
    const token = await serviceToken([access])
    const { signal, forget } = breakOffAfter(timeoutMs, options.signal)
    const exchange = async () => {
      const response = await retryOn500(new URL(path, registryUrl), {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          accept: ACCEPT,
          ...(body !== undefined && { 'content-type': body.mediaType }),
        },
        body: body && new Uint8Array(body.raw),
        redirect: 'error',
        signal,
      })
      return { response, raw: Buffer.from(await response.arrayBuffer()) }
    }
    const { response, raw } = await exchange()
      .catch((cause: unknown) => {
        throw registryFault(`${what} was not answered`, undefined, cause)
      })
      .finally(forget)
    if (response.status === 404) {
      // What is not there goes from the index: so some other server's 404, in the registry's place, is none.
      if (response.headers.get('docker-distribution-api-version') === 'registry/2.0') return undefined
      throw registryFault(`${what} was answered 404, and not by a registry`)
    }
    if (response.status !== expected) {
      throw registryFault(`${what} was answered ${response.status}`, response.status)
    }
    return { headers: response.headers, raw }
  }
}

/**
 * A signal that comes after so long, or with another. `AbortSignal.timeout` would keep every request in memory until
 * then, thousands of them in a run of reconcile.
 */
function breakOffAfter(timeoutMs: number, stop: AbortSignal | undefined) {
  const breaking = new AbortController()
  const breakOff = () => breaking.abort()
  const timer = setTimeout(breakOff, timeoutMs)
  stop?.addEventListener('abort', breakOff)
  if (stop?.aborted) breakOff()
  const forget = () => {
    clearTimeout(timer)
    stop?.removeEventListener('abort', breakOff)
  }
  return { signal: breaking.signal, forget }
}

/** The error of a registry that did not answer as agreed. */
export function registryFault(message: string, status?: number, cause?: unknown): ServiceCallError {
  return new ServiceCallError(message, { dependency: DEPENDENCY, status, cause })
}

/** What the registry answers where it is the whole of it that does not serve, and not one thing in it. */
const AWAY = new Set([401, 403, 429, 502, 503, 504])

/**
 * Whether the registry answered, and could not serve this one thing: distribution says 500 for a manifest that it
 * cannot parse, and for a broken link.
 */
export function isRegistryRefusal(error: unknown): boolean {
  return (
    error instanceof ServiceCallError &&
    error.dependency === DEPENDENCY &&
    error.status !== undefined &&
    !AWAY.has(error.status)
  )
}

/** Whether the registry, or what is asked on the way to it, does not serve at all. */
export function isRegistryUnavailable(error: unknown): boolean {
  return error instanceof ServiceCallError && !isRegistryRefusal(error)
}
