import type { FastifyReply, FastifyRequest } from 'fastify'
import { LogController } from 'fastify'
import { requestPrincipalOf } from './request-context.ts'

/**
 * Requests that services and probes send all the time: each process polls the revocation list and the list of ended
 * global repositories every second, and the storage worker asks for work every few seconds.
 */
const POLLED =
  /^\/(?:internal\/(?:revocations|ended-globals|collection\/(?:claims|listings))|livez|readyz|metrics)(?:\?|$)/

/**
 * Logs one line for each completed request, with its account. Lines of arriving requests and of polls that succeed are
 * logged at debug level: a line costs as much as the rest of a small request.
 */
export class RequestLog extends LogController {
  override incomingRequest(request: FastifyRequest): void {
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
      req: request,
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
