import type { FastifyInstance, FastifyRequest, FastifyServerOptions } from 'fastify'
import Fastify from 'fastify'
import { answerClientError } from './client-error.ts'
import type { UnavailableDependency } from './dependency.ts'
import type { ProblemFormat } from './error-handler.ts'
import { problemJson, setErrorFormat, setNotFoundFormat } from './error-handler.ts'
import type { Metrics } from './metrics.ts'
import { countRequests } from './metrics.ts'
import type { Problem } from './problem.ts'
import { RequestLog } from './request-log.ts'
import { behindProxies } from './trusted-proxies.ts'

export interface ServerOptions {
  readonly name: string
  readonly logLevel: string
  /** Largest body in bytes; 64 KiB when left out. */
  readonly bodyLimit?: number
  /** How errors outside of any route are told. */
  readonly format?: ProblemFormat
  readonly unavailableDependency?: UnavailableDependency
  /** The problem of a request that no route takes; 404 when left out. */
  readonly notFound?: (request: FastifyRequest) => Problem
  /** Addresses and CIDRs, separated by commas, whose X-Forwarded-For and X-Request-Id are believed; nobody's when left out. */
  readonly trustedProxies?: string
  readonly metrics: Metrics
  /** Where log lines go; standard output when left out. */
  readonly logStream?: { write(line: string): void }
}

/**
 * Bodies may take as long as they move; a head may not (slow heads are slowloris). Milliseconds. And a head in bytes:
 * more than the ingress takes, which refuses longer ones in the words of the API that was asked.
 */
export const HTTP_LIMITS = {
  headersTimeout: 30_000,
  requestTimeout: 0,
  keepAliveTimeout: 75_000,
  maxHeaderSize: 40 * 1024,
}
/** A connection on which nothing moved for so long is given up. Closing a large upload is quiet for a while. */
export const IDLE_MS = 900_000

/**
 * A Fastify server with what every service of ours has: a log that holds no more of a URL than its path,
 * strict validation (nothing coerced, nothing dropped), errors in one format, and request metrics.
 */
export function createServer(options: ServerOptions): FastifyInstance {
  const { name, format = problemJson, unavailableDependency, notFound } = options
  const app = Fastify({
    logger: logger(name, options),
    logController: new RequestLog(),
    clientErrorHandler: answerClientError,
    bodyLimit: options.bodyLimit ?? 64 * 1024,
    ...behindProxies(options.trustedProxies),
    http: HTTP_LIMITS,
    requestTimeout: HTTP_LIMITS.requestTimeout,
    keepAliveTimeout: HTTP_LIMITS.keepAliveTimeout,
    connectionTimeout: IDLE_MS,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 512 },
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allErrors: false } },
    frameworkErrors: (error, request, reply) => {
      format(reply, { status: error.statusCode ?? 400, detail: error.message })
      request.log.info({ code: error.code }, 'request refused by the router')
    },
  } as FastifyServerOptions) as unknown as FastifyInstance
  setErrorFormat(app, format, unavailableDependency)
  setNotFoundFormat(app, format, notFound)
  countRequests(app, options.metrics)
  return app
}

function logger(name: string, { logLevel, logStream }: ServerOptions): FastifyServerOptions['logger'] {
  return {
    name,
    level: logLevel,
    stream: logStream,
    serializers: {
      // The path alone: query strings may hold passwords (users API) and signed state (uploads).
      req: (request) => ({
        method: request.method,
        path: request.url?.split('?', 1)[0],
        remoteAddress: request.ip,
      }),
    },
  }
}
