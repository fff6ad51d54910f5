import type { RegistryRequest } from '@registry-manager/oci'
import { parseRegistryRequest } from '@registry-manager/oci'
import type { Principal } from '@registry-manager/principal'
import { bindUpload } from './upload-binding.ts'

export type Headers = Readonly<Record<string, string | string[] | undefined>>

/** The headers of the registry's response that the client gets. */
const FORWARDED = [
  'accept-ranges',
  'cache-control',
  'content-length',
  'content-range',
  'content-type',
  'docker-content-digest',
  'docker-distribution-api-version',
  'docker-upload-uuid',
  'etag',
  'last-modified',
  'oci-chunk-min-length',
  'range',
  'retry-after',
  'www-authenticate',
] as const

/** The request that a response belongs to. */
export interface ResponseContext {
  readonly registryUrl: URL
  /** Origins that clients may be redirected to. */
  readonly storageOrigins: readonly string[]
  readonly registryRequest: RegistryRequest
  readonly principal: Principal
  readonly uploadSecret: string
}

/**
 * The headers of the response to the client. A Location on the registry becomes relative, because clients use several
 * hosts. The Location of an upload gets the upload binding. A Location elsewhere is removed, unless it leads a reader
 * of a blob to the registry's storage: it is a signed URL, which no cache may store.
 * Docker-Content-Digest is the digest that the client requested: distribution names everything by its sha256.
 */
export function toResponseHeaders(headers: Headers, context: ResponseContext) {
  const forwarded: Record<string, string | string[]> = {}
  for (const name of FORWARDED) {
    const value = headers[name]
    if (value !== undefined) forwarded[name] = value
  }
  // distribution lets shared caches store blobs, but only an authorized client may read them. RFC 9111 §5.2.2.7
  const cacheControl = forwarded['cache-control']
  if (typeof cacheControl === 'string' && !/\b(?:private|no-store)\b/.test(cacheControl)) {
    forwarded['cache-control'] = `private, ${cacheControl}`
  }
  const digest = requestedDigest(context.registryRequest)
  if (digest !== undefined && 'docker-content-digest' in forwarded)
    forwarded['docker-content-digest'] = digest
  const location =
    typeof headers['location'] === 'string' ? toLocation(headers['location'], context) : undefined
  if (location !== undefined) forwarded['location'] = location
  if (location?.includes('://')) forwarded['cache-control'] = 'no-store'
  return forwarded
}

/** The digest in a request; undefined if the request has none. */
function requestedDigest(request: RegistryRequest): string | undefined {
  if (request.kind === 'blob' || request.kind === 'upload') return request.digest
  return request.kind === 'manifest' && 'digest' in request.reference ? request.reference.digest : undefined
}

/** An absolute URL that every parser splits at the same place: without credentials and backslashes in its authority. */
const PLAIN_URL = /^https?:\/\/[^/?#@\\]+\/[^\\]*$/i

function toLocation(location: string, context: ResponseContext): string | undefined {
  const { registryUrl, storageOrigins, registryRequest, principal, uploadSecret } = context
  // Does not throw: this runs in a callback of the HTTP client, where an exception ends the process.
  const url = URL.parse(location, registryUrl.href)
  if (url === null) return undefined
  if (url.origin !== registryUrl.origin) {
    const isPull = registryRequest.kind === 'blob' && registryRequest.method !== 'DELETE'
    return isPull && PLAIN_URL.test(location) && storageOrigins.includes(url.origin) ? location : undefined
  }
  const parsed = parseRegistryRequest('GET', url.pathname + url.search)
  const kind = 'request' in parsed ? parsed.request.kind : undefined
  if ('request' in parsed && parsed.request.kind === 'upload') {
    const { repository, id } = parsed.request
    url.searchParams.set('_binding', bindUpload(uploadSecret, { repository, id, uid: principal.uid }))
  }
  const digest = requestedDigest(registryRequest)
  if (digest !== undefined && (kind === 'blob' || kind === 'manifest')) {
    url.pathname = url.pathname.replace(/[^/]+$/, digest)
  }
  return url.pathname + url.search
}
