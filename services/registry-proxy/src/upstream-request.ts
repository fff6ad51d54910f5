import type { RegistryRequest } from '@registry-manager/oci'

/** Requests that the registry answers; the others are image-manager's. */
export type ForwardedRequest = Exclude<RegistryRequest, { kind: 'catalog' | 'tags' | 'referrers' }>

/** What goes to the registry: put together from what was parsed, never from what came. */
export interface UpstreamRequest {
  readonly path: string
  /** Without the question mark; empty when there is none. */
  readonly query: string
  /**
   * What of the request's body goes along. A manifest is read whole first, so that its size is known; the body
   * of an upload's start is never sent, because distribution takes mounts from it.
   */
  readonly body: 'none' | 'manifest' | 'stream'
}

/** Builds the request to the registry that a parsed request stands for. */
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

function toQuery(parameters: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(parameters).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  )
  return new URLSearchParams(given).toString()
}
