import { finished } from 'node:stream/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** A body that is smaller than this is read to its end, and the connection lives on. */
const SMALL_BYTES = 256 * 1024

/** Whether more of the request's body is still to come than is read and thrown away without a word. */
export function isLargeBodyComing({ raw, headers }: FastifyRequest): boolean {
  // Waiting for leave to send: there is nothing under way.
  if (headers.expect !== undefined) return false
  if (raw.complete) return false
  if (headers['transfer-encoding'] !== undefined) return true
  return Number(headers['content-length'] ?? 0) > SMALL_BYTES
}

/**
 * Sends an answer, with the status and headers that the reply has, while the request's body is still coming.
 * The rest of the body is thrown away, for `lingerMs` at most, and then the connection is closed: closed at
 * once, it would be reset, and the client could lose the answer.
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
