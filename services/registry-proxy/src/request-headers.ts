import type { IncomingHttpHeaders } from 'node:http'
import type { RegistryRequest } from '@registry-manager/oci'
import { MANIFEST_MEDIA_TYPES, MEDIA_TYPES } from '@registry-manager/oci'
import type { UpstreamRequest } from './upstream-request.ts'

/**
 * The client's headers that are forwarded to the registry. `Forwarded` and `X-Forwarded-*`, which the registry would
 * believe, are not among them. `toRequestHeaders` rewrites Accept and Range. nginx has the same list:
 * deploy/nginx/templates/server-blobs.conf.template.
 */
const FORWARDED = ['accept', 'if-match', 'if-modified-since', 'if-none-match', 'user-agent']
const FORWARDED_WITH_BODY = ['content-length', 'content-range', 'content-type']

/** The headers of the request to the registry. `headers.host` is the registry's own: reply-from has set it. */
export function toRequestHeaders(
  request: RegistryRequest,
  { body }: UpstreamRequest,
  headers: IncomingHttpHeaders,
  token: string,
): Record<string, string> {
  const names = body === 'none' ? FORWARDED : [...FORWARDED, ...FORWARDED_WITH_BODY]
  const forwarded: Record<string, string> = { host: headers.host ?? '', authorization: `Bearer ${token}` }
  for (const name of names) {
    const value = headers[name]
    if (typeof value === 'string') forwarded[name] = value
  }
  // distribution reads parameters from a form body and prefers them to those of the authorized query.
  if (body === 'stream') forwarded['content-type'] = 'application/octet-stream'
  if (request.kind === 'manifest') forwarded['accept'] = manifestAccept(headers.accept)
  if (request.kind === 'blob') Object.assign(forwarded, toRangeHeaders(request.method, headers))
  return forwarded
}

/**
 * The Accept header for the registry. It contains every manifest type, whatever the client accepts, so that a manifest
 * is returned as it was pushed. distribution converts manifests that the client does not accept: 2.8 turns a Docker
 * image into the retired schema 1, and 2.8 and 3.1 respond 404 for an OCI image. A server may send types that a client
 * does not list (RFC 9110 §12.5.1), and registry clients rely on the response's Content-Type.
 *
 * One conversion stays: a client that accepts Docker images but not Docker lists gets the list's linux/amd64 image. For
 * such a client the list type is left out. distribution never converts a manifest that is requested by digest.
 * Source: distribution 2.8 and 3.1, registry/handlers/manifests.go, `GetManifest`.
 */
export function manifestAccept(accept = ''): string {
  const { dockerManifest, dockerList } = MEDIA_TYPES
  const accepted = new Set(accept.split(',').map(toMediaType))
  const isWithoutLists = accepted.has(dockerManifest) && !accepted.has(dockerList)
  return MANIFEST_MEDIA_TYPES.filter((type) => type !== dockerList || !isWithoutLists).join(', ')
}

/** The media type of one element of Accept; undefined if its weight is 0. Source: RFC 9110 §12.4.2. */
function toMediaType(element: string): string | undefined {
  const [type = '', ...parameters] = element.split(';').map((part) => part.trim().toLowerCase())
  return parameters.some((parameter) => /^q=0(?:\.0{0,3})?$/.test(parameter)) ? undefined : type
}

/** Only blobs have ranges. If-Range has no meaning without Range (RFC 9110 §13.1.5). */
function toRangeHeaders(method: string, headers: IncomingHttpHeaders): Record<string, string> {
  const range = blobRange(method, headers.range)
  if (range === undefined) return {}
  const ifRange = headers['if-range']
  return typeof ifRange === 'string' ? { range, 'if-range': ifRange } : { range }
}

/** A range that no blob has: Go's parser accepts no larger offset. */
const UNSATISFIABLE = '9223372036854775807-'

/** A header with more ranges is ignored: many small ranges cost far more than the whole blob. RFC 9110 §17.15 */
const MAX_RANGES = 16

/**
 * The Range header for the registry. Undefined if the client's is ignored: for every method but GET (RFC 9110 §14.2),
 * and for units other than `bytes`, whose name is case-insensitive (§14.1). distribution responds 416 to a malformed
 * range.
 *
 * `-0`, the last 0 bytes, is unsatisfiable (§14.1.2). Go's http.ServeContent responds to it with an impossible
 * Content-Range. It is therefore replaced by another unsatisfiable range.
 */
export function blobRange(method: string, range: string | undefined): string | undefined {
  if (method !== 'GET' || range === undefined) return undefined
  const [, unit = '', set = ''] = /^([^=]*)=(.*)$/.exec(range) ?? []
  if (unit.trim().toLowerCase() !== 'bytes') return undefined
  const ranges = set.split(',').map((spec) => spec.trim())
  if (ranges.length > MAX_RANGES) return undefined
  return `bytes=${ranges.map((spec) => (/^-0+$/.test(spec) ? UNSATISFIABLE : spec)).join(',')}`
}
