import type { RegistryRequest } from '@registry-manager/oci'
import type { UpstreamRequest } from './upstream-request.ts'

/** A blob that a request may put into a repository. */
export interface AnnouncedBlob {
  readonly repository: string
  readonly digest: string
}

/**
 * The blob that a request puts into a repository if the registry accepts it: the closing PUT of an upload names it,
 * and a mount that is sent upstream. Undefined for every other request.
 * Source: OCI distribution-spec 1.1, "Pushing blobs", "Mounting a blob from another repository".
 */
export function announcedBlob(asked: RegistryRequest, upstream: UpstreamRequest): AnnouncedBlob | undefined {
  if (asked.kind !== 'upload' && asked.kind !== 'upload-start') return undefined
  // A mount that the principal may not make is not sent upstream, so what is sent counts.
  const query = new URLSearchParams(upstream.query)
  const digest = query.get('digest') ?? query.get('mount')
  return digest === null ? undefined : { repository: asked.repository, digest }
}
