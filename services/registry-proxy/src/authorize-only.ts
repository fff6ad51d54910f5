import type { RegistryRequest } from '@registry-manager/oci'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Forwarding } from './forward.ts'
import { bindUpload } from './upload-binding.ts'

/**
 * nginx sets this header when it asks whether a request is authorized. A client that sets it gains nothing: the
 * response contains only its own token and its own request. The name is that of an earlier version, and stays: the
 * configuration of nginx may be older than this service.
 */
const AUTHORIZE_ONLY = 'x-decide-only'

/** Whether nginx asks only for the decision, and forwards the request itself. */
export function isAuthorizeOnly({ headers }: FastifyRequest): boolean {
  return headers[AUTHORIZE_ONLY] !== undefined
}

/**
 * Responds to an authorize-only request with the request that nginx then sends to the registry. nginx transfers a blob
 * without this process: the transfer is faster, and it continues when this process ends. The response 204 tells nginx
 * to send the request to this service instead. That is the case if the request needs more work than a transfer, or a
 * service token: nginx never receives one.
 */
export function respondToAuthorizeOnly(
  { registryRequest, upstream, principal }: Omit<Forwarding, 'token'>,
  /** The principal's own token; undefined if a service token is needed. */
  token: string | undefined,
  uploadSecret: string,
  reply: FastifyReply,
) {
  reply.header('cache-control', 'no-store')
  if (token === undefined || !isForwardedByNginx(registryRequest)) return reply.code(204).send()
  const { path, query } = upstream
  reply.header('x-decided-uri', query === '' ? path : `${path}?${query}`)
  reply.header('x-decided-authorization', `Bearer ${token}`)
  if (registryRequest.kind === 'upload') {
    reply.header('x-decided-binding', bindUpload(uploadSecret, { ...registryRequest, uid: principal.uid }))
  }
  return reply.code(200).send()
}

function isForwardedByNginx(request: RegistryRequest): boolean {
  if (request.kind === 'blob') return request.method === 'GET'
  if (request.kind !== 'upload') return false
  // An upload that is closed with a sha512 digest is forwarded here: its alias must be recorded in the index
  // afterwards.
  return (
    request.method === 'PATCH' || (request.method === 'PUT' && request.digest?.startsWith('sha256:') === true)
  )
}
