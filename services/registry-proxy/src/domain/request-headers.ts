import type { IncomingHttpHeaders } from 'node:http'
import type { RegistryRequest } from '@registry-manager/oci'
import type { UpstreamRequest } from './upstream-request.ts'

/** What of a client's request goes to the registry. Headers that could speak for us are simply not among them. */
const PASSED_ON = [
  'accept',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'range',
  'user-agent',
]
const PASSED_ON_WITH_BODY = ['content-length', 'content-range', 'content-type']

/** Every type of manifest that a registry may hold. Source: OCI image-spec 1.1; Docker image manifest v2.2. */
const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.artifact.manifest.v1+json',
]

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
  if (request.kind === 'manifest') passed['accept'] = acceptedManifests(headers.accept)
  return passed
}

/** An Accept that names no type of manifest (curl's, a browser's) means any: the type that was pushed. */
function acceptedManifests(accept = ''): string {
  return MANIFEST_TYPES.some((type) => accept.includes(type)) ? accept : MANIFEST_TYPES.join(', ')
}
