import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceCallError, keepAfterHead } from '@registry-manager/http'
import type { Access } from '@registry-manager/oci'
import { MANIFEST_MEDIA_TYPES, repositoryAccess } from '@registry-manager/oci'
import type { Headers, RequestInit, Response } from 'undici'
import { Agent, fetch } from 'undici'

export interface RegistryRequestOptions {
  readonly registryUrl: string
  readonly serviceToken: (access: readonly Access[]) => Promise<string>
  readonly timeoutMs?: number
  /** Aborts requests in flight. */
  readonly signal?: AbortSignal
  /** Repositories whose pulls share one token. */
  readonly repositories?: readonly string[]
}

export interface RegistryResponse {
  readonly status: number
  readonly headers: Headers
  readonly raw: Buffer
}

/**
 * Returns undefined for a 404 of the registry. Throws ServiceCallError for any other status than `expected` and
 * `alternative`.
 */
export type SendToRegistry = (
  method: string,
  path: string,
  access: Access,
  expected: number,
  more?: {
    readonly body?: { readonly mediaType: string; readonly raw: Buffer }
    readonly timeoutMs?: number
    /** Another status that the registry may respond with. */
    readonly alternative?: number
    /** Access that the request needs besides `access`. */
    readonly source?: Access
  },
) => Promise<RegistryResponse | undefined>

/** Every type of manifest, so that the registry converts none. */
const ACCEPT = MANIFEST_MEDIA_TYPES.join(', ')

const DEPENDENCY = 'registry'

/** The name of the error of a timeout, as `AbortSignal.timeout` names it. */
const TIMEOUT = 'TimeoutError'

/**
 * Sends requests to the registry, each with an access token of the service for exactly that request, or for pulls from
 * `repositories`.
 */
export function createRegistryRequest(options: RegistryRequestOptions): SendToRegistry {
  const { registryUrl, serviceToken, repositories = [] } = options
  const shared = repositories.map((name) => repositoryAccess(name, 'pull'))
  const isShared = ({ name, actions }: Access) =>
    actions.length === 1 && actions[0] === 'pull' && repositories.includes(name)
  return async (method, path, access, expected, { body, timeoutMs, alternative, source } = {}) => {
    const what = `${method} ${path} at the registry`
    const needed = source === undefined ? [access] : [access, source]
    const token = await serviceToken(isShared(access) ? shared : needed)
    const { signal, clear } = abortAfter(timeoutMs ?? options.timeoutMs ?? 15_000, options.signal)
    const exchange = async () => {
      const response = await retryOn500(new URL(path, registryUrl), {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          accept: ACCEPT,
          ...(body !== undefined && { 'content-type': body.mediaType }),
        },
        body: body && new Uint8Array(body.raw),
        redirect: 'manual',
        signal,
      })
      return { response, raw: Buffer.from(await response.arrayBuffer()) }
    }
    const { response, raw } = await exchange()
      .catch((cause: unknown) => {
        throw registryError(`${what} got no response`, undefined, cause)
      })
      .finally(clear)
    if (response.status === 404) {
      // A 404 removes entries from the index, so the 404 of another server in the registry's place must not count.
      if (response.headers.get('docker-distribution-api-version') === 'registry/2.0') return undefined
      throw registryError(`${what} returned 404 without the header of a registry: check REGISTRY_URL`)
    }
    if (response.status !== expected && response.status !== alternative) {
      const retryAfter = response.headers.get('retry-after') ?? ''
      throw new ServiceCallError(`${what} returned ${response.status}`, {
        dependency: DEPENDENCY,
        status: response.status,
        ...(/^\d+$/.test(retryAfter) && { retryAfterSeconds: Number(retryAfter) }),
      })
    }
    return { status: response.status, headers: response.headers, raw }
  }
}

/**
 * A signal that aborts after a time, or with another signal. `AbortSignal.timeout` would hold every request in memory
 * until its timeout: thousands of requests in a run of reconcile.
 */
function abortAfter(timeoutMs: number, stop: AbortSignal | undefined) {
  const controller = new AbortController()
  const abort = () => controller.abort()
  const expire = () => controller.abort(new DOMException(`no response within ${timeoutMs} ms`, TIMEOUT))
  const timer = setTimeout(expire, timeoutMs)
  stop?.addEventListener('abort', abort)
  if (stop?.aborted) abort()
  const clear = () => {
    clearTimeout(timer)
    stop?.removeEventListener('abort', abort)
  }
  return { signal: controller.signal, clear }
}

const dispatcher = new Agent().compose(keepAfterHead)

const TRIES = 5
const PAUSE_MS = 20

/**
 * Retries a request to which the registry responds 500. On a file system, distribution responds 500 for a moment while
 * a tag is being written (it truncates the file first) or deleted. Only for idempotent requests.
 */
export async function retryOn500(url: URL, init: RequestInit): Promise<Response> {
  for (let tries = 1; ; tries++) {
    const response = await fetch(url, { ...init, dispatcher })
    if (response.status !== 500 || tries === TRIES) return response
    await response.body?.cancel()
    await sleep(PAUSE_MS * tries)
  }
}

/** The error of an unexpected response of the registry, or of no response. */
export function registryError(message: string, status?: number, cause?: unknown): ServiceCallError {
  return new ServiceCallError(message, { dependency: DEPENDENCY, status, cause })
}

/** Statuses that concern the whole registry, or the way to it, and not one manifest or blob. */
const UNAVAILABLE_STATUSES = new Set([401, 403, 429, 502, 503, 504])

/**
 * Whether the registry responded but cannot serve one manifest or blob: distribution responds 500 for a manifest that
 * it cannot parse, and for a broken link.
 */
export function isRegistryRefusal(error: unknown): boolean {
  return (
    error instanceof ServiceCallError &&
    error.dependency === DEPENDENCY &&
    error.status !== undefined &&
    !UNAVAILABLE_STATUSES.has(error.status)
  )
}

/** Whether the registry, or a service that is needed to call it, is unavailable. */
export function isRegistryUnavailable(error: unknown): boolean {
  return error instanceof ServiceCallError && !isRegistryRefusal(error)
}

/** Whether the registry is overloaded: it responds with 429 or 503, or not in time. */
export function isRegistryOverloaded(error: unknown): boolean {
  if (!(error instanceof ServiceCallError) || error.dependency !== DEPENDENCY) return false
  const { status, cause } = error
  return status === 429 || status === 503 || (cause instanceof Error && cause.name === TIMEOUT)
}
