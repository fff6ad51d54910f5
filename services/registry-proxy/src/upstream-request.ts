import type { RegistryRequest } from '@registry-manager/oci'

/** A request that is forwarded to the registry. All others are for image-manager. */
export type ForwardedRequest = Exclude<RegistryRequest, { kind: 'catalog' | 'tags' | 'referrers' }>

export type UploadRequest = Extract<RegistryRequest, { kind: 'upload' }>
export type ManifestRequest = Extract<RegistryRequest, { kind: 'manifest' }>

/** The request to the registry. It is built from the parsed request, never from the bytes that the client sent. */
export interface UpstreamRequest {
  readonly path: string
  /** Without the question mark; empty if there is none. */
  readonly query: string
  /**
   * How the client's body is sent. A manifest is first read into memory, because image-manager needs it as well. The
   * body of the POST that starts an upload is never sent, because distribution reads mounts from it.
   */
  readonly body: 'none' | 'manifest' | 'stream'
}

/** Builds the request to the registry. */
export function toUpstreamRequest(request: ForwardedRequest): UpstreamRequest {
  switch (request.kind) {
    case 'base':
      return { path: '/v2/', query: '', body: 'none' }
    case 'manifest': {
      const { repository, reference, method } = request
      const name = 'tag' in reference ? reference.tag : reference.digest
      const body = method === 'PUT' ? 'manifest' : 'none'
      return { path: `/v2/${repository}/manifests/${name}`, query: '', body }
    }
    case 'blob':
      return { path: `/v2/${request.repository}/blobs/${request.digest}`, query: '', body: 'none' }
    case 'upload-start': {
      const query = toQuery({ mount: request.mount?.digest, from: request.mount?.from })
      return { path: `/v2/${request.repository}/blobs/uploads/`, query, body: 'none' }
    }
    case 'upload': {
      const { repository, id, state, digest, method } = request
      const query = toQuery({ _state: state, digest })
      const body = method === 'PATCH' || method === 'PUT' ? 'stream' : 'none'
      return { path: `/v2/${repository}/blobs/uploads/${id}`, query, body }
    }
  }
}

/** A blob that a request can add to a repository. */
export interface AnnouncedBlob {
  readonly repository: string
  readonly digest: string
}

/**
 * The blob that a request adds to a repository if the registry accepts it: the closing PUT of an upload names it, and
 * so does a mount. Undefined for every other request.
 * Source: OCI distribution-spec 1.1, "Pushing blobs", "Mounting a blob from another repository".
 */
export function announcedBlob(request: ForwardedRequest): AnnouncedBlob | undefined {
  if (request.kind !== 'upload' && request.kind !== 'upload-start') return undefined
  const digest = request.kind === 'upload' ? request.digest : request.mount?.digest
  return digest === undefined ? undefined : { repository: request.repository, digest }
}

/** The query string of the parameters that have a value. */
export function toQuery(parameters: Readonly<Record<string, string | number | undefined>>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) query.set(name, String(value))
  }
  return query.toString()
}
