import { finished } from 'node:stream/promises'
import type { RegistryError } from '@registry-manager/oci'
import { formatRegistryError } from '@registry-manager/oci'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** A body that is smaller than this is read to its end, and the connection lives on. */
const SMALL_BYTES = 256 * 1024
/** How long a client that goes on sending may take to notice that it was answered. */
const LINGER_MS = 2000

/**
 * Answers a refusal. While a large body is still coming the answer is sent first; what comes is thrown away
 * for a moment, so that the client reads its answer instead of a reset, and then the connection is closed.
 * Source: RFC 9112 §9.6.
 */
export async function refuse(request: FastifyRequest, reply: FastifyReply, error: RegistryError) {
  const { status, body } = formatRegistryError(error)
  const text = JSON.stringify(body)
  if (!isLargeBodyComing(request)) return reply.code(status).type('application/json').send(text)

  const headers = {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    connection: 'close',
  }
  reply.hijack()
  reply.raw.writeHead(status, headers)
  reply.raw.write(text)
  request.raw.resume()
  await finished(request.raw, { signal: AbortSignal.timeout(LINGER_MS) }).catch(() => undefined)
  reply.raw.end()
  request.raw.destroy()
  return reply
}

function isLargeBodyComing({ raw, headers }: FastifyRequest): boolean {
  // Waiting for leave to send: there is nothing under way.
  if (headers.expect !== undefined) return false
  if (raw.complete) return false
  if (headers['transfer-encoding'] !== undefined) return true
  return Number(headers['content-length'] ?? 0) > SMALL_BYTES
}
