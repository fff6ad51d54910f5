import { parseRegistryRequest } from '@registry-manager/oci'
import type { Caller } from '@registry-manager/service-kit'
import { bindUpload } from './upload-binding.ts'

type Headers = Readonly<Record<string, string | string[] | undefined>>

/** What of the registry's answer goes to the client; everything else stays here. */
const PASSED_ON = [
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

/**
 * The headers of an answer to a client. A Location on the registry is parsed, bound to the caller where it is
 * an upload's, and written relative, so that it holds whatever host the client came by; one that leads
 * elsewhere (to the storage, where the registry redirects) is kept as it is.
 */
export function toResponseHeaders(headers: Headers, registryUrl: URL, caller: Caller, secret: string) {
  const passed: Record<string, string | string[]> = {}
  for (const name of PASSED_ON) {
    const value = headers[name]
    if (value !== undefined) passed[name] = value
  }
  const { location } = headers
  const led = typeof location === 'string' ? toLocation(location, registryUrl, caller, secret) : undefined
  if (led !== undefined) passed['location'] = led
  return passed
}

function toLocation(location: string, registryUrl: URL, { uid }: Caller, secret: string): string | undefined {
  // Not thrown: this runs inside the HTTP client, where nobody catches, and would end the process.
  const url = URL.parse(location, registryUrl.href)
  if (url === null) return undefined
  if (url.origin !== registryUrl.origin) return location
  const parsed = parseRegistryRequest('GET', url.pathname + url.search)
  const relative = url.pathname + url.search
  if (!('request' in parsed) || parsed.request.kind !== 'upload') return relative
  const { repository, id } = parsed.request
  url.searchParams.set('_binding', bindUpload(secret, { repository, id, uid }))
  return url.pathname + url.search
}
