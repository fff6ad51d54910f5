import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'

const zip = promisify(gzip)

/** Sends a body, or 304 if the client has it. */
export type SendStaticBody = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>

/**
 * A response body that never changes. It is read and compressed at its first request, off the main thread, and kept.
 * Clients revalidate it by its ETag. Source: RFC 9110 §8.8.3, §12.5.3.
 */
export function createStaticBody(type: string, read: () => Promise<string | Buffer>): SendStaticBody {
  let prepared: Promise<{ body: Buffer; zipped: Buffer; etag: string }> | undefined
  const prepare = async () => {
    const body = Buffer.from(await read())
    // Weak: both encodings have the same one.
    return {
      body,
      zipped: await zip(body),
      etag: `W/"${createHash('sha256').update(body).digest('base64url')}"`,
    }
  }
  return async (request, reply) => {
    prepared ??= prepare()
    prepared.catch(() => {
      prepared = undefined
    })
    const { body, zipped, etag } = await prepared
    reply.headers({ etag, vary: 'accept-encoding', 'x-content-type-options': 'nosniff' })
    if (request.headers['if-none-match']?.includes(etag)) return reply.code(304).send()
    reply.type(type)
    if (!acceptsGzip(request.headers['accept-encoding'])) return reply.send(body)
    return reply.header('content-encoding', 'gzip').send(zipped)
  }
}

function acceptsGzip(accepted: string | string[] = ''): boolean {
  const codings = String(accepted).split(',')
  return codings.some((coding) => /^\s*gzip\s*(?:;\s*q=(?:1|0\.0*[1-9]).*)?$/i.test(coding))
}
