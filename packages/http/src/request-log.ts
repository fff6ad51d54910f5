import type { FastifyReply, FastifyRequest } from 'fastify'
import { LogController } from 'fastify'

/**
 * Requests that services and probes send all the time: each process polls the revocation list and the list of ended
 * global repositories every second.
 */
const POLLED = /^\/(?:internal\/revocations|internal\/ended-globals|livez|readyz|metrics)(?:\?|$)/

/** Logs requests like Fastify does, except that polls which succeed are logged at debug level. */
export class RequestLog extends LogController {
  override incomingRequest(request: FastifyRequest, reply: FastifyReply): void {
    if (!isPolled(request)) return super.incomingRequest(request, reply)
    request.log.debug({ req: request }, 'incoming request')
  }

  override requestCompleted(
    error: Error | null | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
  ): void {
    if (error != null || !isPolled(request)) return super.requestCompleted(error, request, reply)
    const level = reply.statusCode >= 500 ? 'info' : 'debug'
    // Includes the request: its own line is not written at the default level.
    reply.log[level]({ req: request, res: reply, responseTime: reply.elapsedTime }, 'request completed')
  }
}

function isPolled({ url }: FastifyRequest): boolean {
  return POLLED.test(url)
}
