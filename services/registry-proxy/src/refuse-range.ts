import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { refuse } from './refuse.ts'

/** What the registry says of the blob, and not of this answer. */
const OF_THE_BLOB = ['cache-control', 'content-length', 'docker-content-digest', 'etag']

/**
 * Answers in the registry's place that a blob has no such range: distribution announces the whole blob's length,
 * sends a line of text, and breaks off.
 * Source: RFC 9110 §15.5.17; OCI distribution-spec 1.1, "Pulling blobs".
 */
export async function refuseRange(request: FastifyRequest, reply: FastifyReply, unread: Readable) {
  unread.on('error', () => undefined).destroy()
  for (const name of OF_THE_BLOB) reply.removeHeader(name)
  return refuse(request, reply, { code: 'SIZE_INVALID', status: 416, message: 'there is no such range' })
}
