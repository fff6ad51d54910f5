import { ServiceCallError } from '@registry-manager/http'
import { repositoryAccess } from '@registry-manager/oci'
import type { Authenticator, Principal } from '@registry-manager/principal'
import type { FastifyRequest } from 'fastify'
import type { Refusal } from './refuse.ts'
import { bindUpload } from './upload-binding.ts'
import { offsetOf } from './upload-states.ts'
import type { ForwardedRequest, UploadRequest } from './upstream-request.ts'
import { toUpstreamRequest } from './upstream-request.ts'

/** The facts about an upload session and its next chunk. */
export interface Chunk {
  /** The Content-Range header, which in this API consists of two offsets. */
  readonly contentRange: string
  /** The Content-Length header; undefined if the client sends the chunk with an unknown length. */
  readonly contentLength: string | undefined
  /** The Range header of the upload's status: the bytes that the registry has. */
  readonly uploaded: string
}

const RANGE = /^(\d+)-(\d+)$/

/**
 * The reason why a chunk is refused; undefined if it is accepted. Each chunk must begin where the previous one ended.
 * distribution 2.8 accepts every chunk and appends it.
 * Source: OCI distribution-spec 1.1, "Pushing a blob in chunks".
 */
export function faultOfChunk({ contentRange, contentLength, uploaded }: Chunk): string | undefined {
  const range = RANGE.exec(contentRange)
  if (range === null) return 'Content-Range must be two offsets, such as 0-1023'
  const [start, end] = [Number(range[1]), Number(range[2])]
  if (end < start) return 'Content-Range must not end before it begins'
  if (contentLength !== undefined && Number(contentLength) !== end - start + 1) {
    return `Content-Range has ${end - start + 1} bytes, but Content-Length is ${contentLength}`
  }
  const last = Number(RANGE.exec(uploaded)?.[2])
  // distribution reports 0-0 both for an empty upload and for one byte, so both positions are accepted. If the wrong
  // one was used, the digest check of the closing PUT fails.
  const expected = last === 0 ? [0, 1] : [last + 1]
  if (expected.includes(start)) return undefined
  return `Content-Range begins at ${start}, but the upload continues at ${expected[0]}`
}

/**
 * The Range header of an upload's status: the bytes that the registry has. Undefined if it does not know the upload.
 */
export type FindUploaded = (path: string, token: string) => Promise<string | undefined>

const TIMEOUT_MS = 15_000

/** Gets the status of uploads from the registry. Throws ServiceCallError when the registry does not respond. */
export function createUploadStatus(registryUrl: string): FindUploaded {
  return async (path, token) => {
    const response = await fetch(new URL(path, registryUrl), {
      headers: { authorization: `Bearer ${token}` },
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch((cause: unknown) => {
      throw new ServiceCallError('the registry did not respond', { dependency: 'registry', cause })
    })
    await response.body?.cancel()
    return response.status === 204 ? (response.headers.get('range') ?? undefined) : undefined
  }
}

/** Refuses a chunk whose Content-Range does not continue the upload. Undefined for every other request. */
export async function refuseChunk(
  authenticator: Pick<Authenticator, 'serviceToken'>,
  findUploaded: FindUploaded,
  registryRequest: ForwardedRequest,
  { headers }: FastifyRequest,
): Promise<Refusal | undefined> {
  const contentRange = headers['content-range']
  if (registryRequest.kind !== 'upload' || contentRange === undefined) return undefined
  if (!addsContent(registryRequest)) return undefined
  const { path, query } = toUpstreamRequest({ ...registryRequest, method: 'GET', digest: undefined })
  const token = await authenticator.serviceToken([repositoryAccess(registryRequest.repository, 'pull')])
  const uploaded = await findUploaded(`${path}?${query}`, token)
  // The registry itself refuses an upload that it does not know.
  if (uploaded === undefined) return undefined
  const message = faultOfChunk({ contentRange, contentLength: headers['content-length'], uploaded })
  return message === undefined ? undefined : { code: 'BLOB_UPLOAD_INVALID', status: 416, message }
}

/**
 * Refuses content without Content-Range at an outdated Location: the registry would append it after bytes that the
 * client does not know of. `upload` has the newest state. The response has the headers of the upload's status.
 * Source: OCI distribution-spec 1.1, "Pushing a blob in chunks": 416 for a chunk out of order.
 */
export function refuseOutdated(
  upload: UploadRequest,
  { uid }: Principal,
  uploadSecret: string,
  request: FastifyRequest,
): Refusal | undefined {
  if (!addsContent(upload) || request.headers['content-range'] !== undefined) return undefined
  const { repository, id, state = '' } = upload
  const offset = offsetOf(state) ?? 0
  const query = new URLSearchParams({
    _state: state,
    _binding: bindUpload(uploadSecret, { repository, id, uid }),
  })
  return {
    code: 'BLOB_UPLOAD_INVALID',
    status: 416,
    message: `the upload already has ${offset} bytes; get its status and continue from there`,
    headers: {
      location: `/v2/${repository}/blobs/uploads/${id}?${query}`,
      range: `0-${Math.max(0, offset - 1)}`,
      'docker-upload-uuid': id,
    },
  }
}

function addsContent({ method }: UploadRequest): boolean {
  return method === 'PATCH' || method === 'PUT'
}
