import type { RegistryRequest } from '@registry-manager/oci'
import { parseRegistryRequest } from '@registry-manager/oci'
import type { Principal } from '@registry-manager/principal'
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

/** Where an answer comes from, and whom it goes to. */
export interface AnswerContext {
  readonly registryUrl: URL
  readonly asked: RegistryRequest
  readonly principal: Principal
  readonly uploadSecret: string
}

/**
 * The headers of an answer to a client. A Location on the registry is parsed, bound to the principal where it is
 * an upload's, and written relative, so that it holds whatever host the client came by; one that leads
 * elsewhere (to the storage, where the registry redirects) is kept as it is. What was asked for by a digest is
 * named by that digest: distribution calls everything by its sha256.
 */
export function toResponseHeaders(headers: Headers, context: AnswerContext) {
  const passed: Record<string, string | string[]> = {}
  for (const name of PASSED_ON) {
    const value = headers[name]
    if (value !== undefined) passed[name] = value
  }
  // What may be read depends on who asks, and distribution lets caches that are shared keep blobs. RFC 9111 §5.2.2.7
  const cacheControl = passed['cache-control']
  if (typeof cacheControl === 'string' && !/\b(?:private|no-store)\b/.test(cacheControl)) {
    passed['cache-control'] = `private, ${cacheControl}`
  }
  const digest = digestOf(context.asked)
  if (digest !== undefined && 'docker-content-digest' in passed) passed['docker-content-digest'] = digest
  const { location } = headers
  const led = typeof location === 'string' ? toLocation(location, context) : undefined
  if (led !== undefined) passed['location'] = led
  return passed
}

/** The digest that a request names a thing by. */
function digestOf(asked: RegistryRequest): string | undefined {
  if (asked.kind === 'blob' || asked.kind === 'upload') return asked.digest
  return asked.kind === 'manifest' && 'digest' in asked.reference ? asked.reference.digest : undefined
}

function toLocation(location: string, context: AnswerContext): string | undefined {
  const { registryUrl, asked, principal, uploadSecret } = context
  // Not thrown: this runs inside the HTTP client, where nobody catches, and would end the process.
  const url = URL.parse(location, registryUrl.href)
  if (url === null) return undefined
  if (url.origin !== registryUrl.origin) return location
  const parsed = parseRegistryRequest('GET', url.pathname + url.search)
  const kind = 'request' in parsed ? parsed.request.kind : undefined
  if ('request' in parsed && parsed.request.kind === 'upload') {
    const { repository, id } = parsed.request
    url.searchParams.set('_binding', bindUpload(uploadSecret, { repository, id, uid: principal.uid }))
  }
  const digest = digestOf(asked)
  if (digest !== undefined && (kind === 'blob' || kind === 'manifest')) {
    url.pathname = url.pathname.replace(/[^/]+$/, digest)
  }
  return url.pathname + url.search
}
