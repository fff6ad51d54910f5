import { finished } from 'node:stream/promises'
import type { Dependency, ProblemFormat, ServiceCallError } from '@registry-manager/http'
import { accountHeaders, describeUnavailable, registryErrors, withRequestId } from '@registry-manager/http'
import type { RegistryError } from '@registry-manager/oci'
import { formatRegistryError } from '@registry-manager/oci'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** The error response of a request that is refused. */
export interface Refusal extends RegistryError {
  readonly headers?: Readonly<Record<string, string>>
  /** The message already ends with a request id: that of the service whose log has the cause. */
  readonly hasRequestId?: true
}

/** The headers of every response of the registry API, errors included. */
export const REGISTRY_HEADERS = {
  'docker-distribution-api-version': 'registry/2.0',
  'x-content-type-options': 'nosniff',
}

/** Time for which the rest of a refused request's body is read and discarded, in milliseconds. */
const LINGER_MS = 2000

/** If less than this is left of a body, it is read to its end, and the connection stays open. */
const SMALL_BODY_BYTES = 256 * 1024

/** The registry API's error format, for errors that Fastify reports: unknown routes and thrown errors. */
export const registryProblem: ProblemFormat = (reply, problem) =>
  registryErrors(reply.headers(REGISTRY_HEADERS), problem)

/** A refusal that the client may retry after some seconds. */
export function retryLater(message: string, retryAfterSeconds: number): Refusal {
  return { code: 'UNAVAILABLE', message, headers: { 'retry-after': String(retryAfterSeconds) } }
}

/** Services whose 429 and 503 are written for clients. */
const OWN_SERVICES: ReadonlySet<Dependency> = new Set(['auth-service', 'image-manager'])

/**
 * The refusal for a failed call to another service or to the registry. A 429 or 503 of our own services has a reason,
 * for example "the repository team/app is being deleted". Its status, detail and Retry-After then reach the client.
 */
function dependencyRefusal({ dependency, status, detail, retryAfterSeconds = 5 }: ServiceCallError): Refusal {
  if (OWN_SERVICES.has(dependency) && detail !== undefined) {
    const refusal: Refusal = { ...retryLater(detail, retryAfterSeconds), hasRequestId: true }
    if (status === 429) return { ...refusal, code: 'TOOMANYREQUESTS' }
    if (status === 503) return refusal
  }
  return retryLater(describeUnavailable(dependency), 5)
}

/** Logs a failed call to a dependency and refuses the request. A 429 is no error: the dependency works. */
export function refuseFailedCall(
  request: FastifyRequest,
  reply: FastifyReply,
  error: ServiceCallError,
): Promise<FastifyReply> {
  if (error.status === 429)
    request.log.warn({ err: error }, 'a dependency responded 429: it has too many requests')
  else request.log.error({ err: error }, 'a dependency of the request is unavailable')
  return refuse(request, reply, dependencyRefusal(error))
}

/**
 * Sends a refusal. While a large body is still arriving the response is sent before the body ends. The rest of the body
 * is discarded for a moment, so that the client reads the response and not a TCP reset. Then the connection is closed.
 */
export async function refuse(
  request: FastifyRequest,
  reply: FastifyReply,
  refusal: Refusal,
): Promise<FastifyReply> {
  const { status, body } = formatRegistryError(refusal)
  const [error, ...others] = body.errors
  const detail = error?.message ?? ''
  const message = refusal.hasRequestId === true ? detail : withRequestId({ status, detail }, request.id)
  const text = JSON.stringify({ errors: [{ ...error, message }, ...others] })
  reply.code(status).headers(refusal.headers ?? {})
  if (!isLargeBodyComing(request)) return reply.type('application/json').send(text)
  return sendEarly(request, reply.type('application/json; charset=utf-8'), text, LINGER_MS)
}

/** Whether more of the request's body is still to arrive than the server discards silently. */
export function isLargeBodyComing({ raw, headers }: FastifyRequest): boolean {
  // The client waits for 100 Continue and sends nothing before it.
  if (headers.expect !== undefined) return false
  if (raw.complete) return false
  if (headers['transfer-encoding'] !== undefined) return true
  return Number(headers['content-length'] ?? 0) > SMALL_BODY_BYTES
}

/**
 * Sends a response, with the status and headers of the reply, while the request's body is still arriving. The rest of
 * the body is discarded for at most `lingerMs`. Then the connection is closed: an immediate close would reset it, and
 * the client could lose the response.
 * Source: RFC 9112 §9.6.
 */
export async function sendEarly(
  request: FastifyRequest,
  reply: FastifyReply,
  text: string,
  lingerMs: number,
): Promise<FastifyReply> {
  const headers = {
    ...(reply.getHeaders() as Record<string, string>),
    // No hook runs for a response that is sent past Fastify.
    ...accountHeaders(request),
    'content-length': Buffer.byteLength(text),
    connection: 'close',
  }
  reply.hijack()
  reply.raw.writeHead(reply.statusCode, headers)
  reply.raw.write(text)
  request.raw.resume()
  await finished(request.raw, { signal: AbortSignal.timeout(lingerMs) }).catch(() => undefined)
  reply.raw.end()
  request.raw.destroy()
  return reply
}
