import type { IncomingHttpHeaders } from 'node:http'
import type { RegistryRequest } from '@registry-manager/oci'
import { blobRange } from './blob-range.ts'
import { manifestAccept } from './manifest-accept.ts'
import type { UpstreamRequest } from './upstream-request.ts'

/**
 * The headers of a client's request that the registry gets. Headers that could speak for us are simply not
 * among them; Accept and Range are rewritten below.
 */
const PASSED_ON = ['accept', 'if-match', 'if-modified-since', 'if-none-match', 'user-agent']
const PASSED_ON_WITH_BODY = ['content-length', 'content-range', 'content-type']

/** The headers of the request to the registry. `host` is the registry's own. */
export function toRequestHeaders(
  request: RegistryRequest,
  { body }: UpstreamRequest,
  headers: IncomingHttpHeaders,
  token: string,
): Record<string, string> {
  const names = body === 'none' ? PASSED_ON : [...PASSED_ON, ...PASSED_ON_WITH_BODY]
  const passed: Record<string, string> = { host: headers.host ?? '', authorization: `Bearer ${token}` }
  for (const name of names) {
    const value = headers[name]
    if (typeof value === 'string') passed[name] = value
  }
  // distribution reads parameters from a form body, where they win over the query that was decided on.
  if (body === 'stream') passed['content-type'] = 'application/octet-stream'
  if (request.kind === 'manifest') passed['accept'] = manifestAccept(headers.accept)
  if (request.kind === 'blob') Object.assign(passed, toRangeHeaders(request.method, headers))
  return passed
}

/** Only blobs have ranges; If-Range means nothing without one (RFC 9110 §13.1.5). */
function toRangeHeaders(method: string, headers: IncomingHttpHeaders): Record<string, string> {
  const range = blobRange(method, headers.range)
  if (range === undefined) return {}
  const ifRange = headers['if-range']
  return typeof ifRange === 'string' ? { range, 'if-range': ifRange } : { range }
}
