import type { RegistryRequest } from '@registry-manager/oci'
import type { Principal } from '@registry-manager/principal'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { bindUpload } from './upload-binding.ts'
import { offsetOf } from './upload-states.ts'
import { refuse } from './refuse.ts'

type Upload = Extract<RegistryRequest, { kind: 'upload' }>

/** Whether a request adds to an upload without saying where, from a state that is not the upload's any more. */
export function isLost({ method }: Upload, { headers }: FastifyRequest): boolean {
  return (method === 'PATCH' || method === 'PUT') && headers['content-range'] === undefined
}

/**
 * Refuses a request to add to an upload that is further than its client knows, and says how far it is and
 * where it goes on, as its status does.
 * Source: OCI distribution-spec 1.1, "Pushing a blob in chunks": 416 for a chunk out of order.
 */
export async function refuseLost(
  { uploadSecret }: { readonly uploadSecret: string },
  { repository, id, state = '' }: Upload,
  { uid }: Principal,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const offset = offsetOf(state) ?? 0
  const query = new URLSearchParams({
    _state: state,
    _binding: bindUpload(uploadSecret, { repository, id, uid }),
  })
  reply.headers({
    location: `/v2/${repository}/blobs/uploads/${id}?${query}`,
    range: `0-${Math.max(0, offset - 1)}`,
    'docker-upload-uuid': id,
  })
  const message = `the upload has ${offset} bytes already; get its status and go on from there`
  return refuse(request, reply, { code: 'BLOB_UPLOAD_INVALID', status: 416, message })
}
