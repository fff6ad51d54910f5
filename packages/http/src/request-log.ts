import type { FastifyReply, FastifyRequest } from 'fastify'
import { LogController } from 'fastify'
import { requestPrincipalOf } from './request-context.ts'

/**
 * Requests that services and probes send all the time: each process polls the revocation list and the list of ended
 * global repositories every second.
 */
const POLLED = /^\/(?:internal\/revocations|internal\/ended-globals|livez|readyz|metrics)(?:\?|$)/

/**
 * Logs requests like Fastify does, and names the account of a completed one. Polls that succeed are logged at debug
 * level.
 */
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
    const principal = requestPrincipalOf(request)
    const details = {
      ...(principal !== null && { account: principal.name }),
      // The line of a poll includes the request, because its `incoming request` is not written at the default level.
      ...(isPolled(request) && { req: request }),
      res: reply,
      responseTime: reply.elapsedTime,
    }
    if (error != null) return reply.log.error({ ...details, err: error }, 'request errored')
    const level = isPolled(request) && reply.statusCode < 500 ? 'debug' : 'info'
    reply.log[level](details, 'request completed')
  }
}

function isPolled({ url }: FastifyRequest): boolean {
  return POLLED.test(url)
}
