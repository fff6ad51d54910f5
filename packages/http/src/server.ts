import type { FastifyInstance, FastifyRequest, FastifyServerOptions } from 'fastify'
import Fastify from 'fastify'
import type { DestinationStream } from 'pino'
import { pino } from 'pino'
import { addAccountHeader } from './account-header.ts'
import { waitForCaches } from './cached-content.ts'
import { respondToClientError } from './client-error.ts'
import type { UnavailableDependency } from './dependency.ts'
import type { ProblemFormat } from './error-handler.ts'
import { problemJson, setErrorFormat, setNotFoundFormat } from './error-handler.ts'
import { RULE } from './explain-validation.ts'
import type { Metrics } from './metrics.ts'
import { countRequests } from './metrics.ts'
import type { Problem } from './problem.ts'
import { provideRequestContext, requestAddressOf } from './request-context.ts'
import { readQueriesBySchema } from './query-values.ts'
import { RequestLog } from './request-log.ts'
import { shareSerializers } from './shared-serializers.ts'
import { behindProxies } from './trusted-proxies.ts'

export interface ServerOptions {
  readonly name: string
  readonly logLevel: string
  /** Largest body in bytes; 64 KiB when left out. */
  readonly bodyLimit?: number
  /** Error format outside of any route. */
  readonly format?: ProblemFormat
  readonly unavailableDependency?: UnavailableDependency
  /** The problem of a request that matches no route; 404 when left out. */
  readonly notFound?: (request: FastifyRequest) => Problem
  /** Comma-separated addresses and CIDR ranges of trusted proxies; no proxy is trusted when left out. */
  readonly trustedProxies?: string
  readonly metrics: Metrics
  /** Destination of log lines; standard output when left out. */
  readonly logStream?: { write(line: string): void }
}

/**
 * Limits of Node's HTTP server, in milliseconds and bytes. A body may take any time as long as data arrives. The
 * headers may not, because of slowloris attacks. Their size limit is above nginx's: nginx refuses longer headers, in
 * the format of the requested API.
 */
export const HTTP_LIMITS = {
  headersTimeout: 30_000,
  requestTimeout: 0,
  keepAliveTimeout: 75_000,
  maxHeaderSize: 40 * 1024,
}
/**
 * A connection without any data for this long is closed, in milliseconds. No data flows while the registry closes a
 * large upload, which may take minutes.
 */
export const IDLE_MS = 900_000

/** Strict, with two keywords beyond JSON Schema: OpenAPI's `discriminator`, and the rules of our messages. */
const VALIDATION = {
  removeAdditional: false,
  coerceTypes: false as const,
  allErrors: false,
  discriminator: true,
  keywords: [RULE],
}

/**
 * Creates a Fastify server with the common parts of all services: a log that contains only the path of a URL, strict
 * validation (no coercion, no dropped fields), one error format, and request metrics.
 */
export function createServer(options: ServerOptions): FastifyInstance {
  const { name, format = problemJson, unavailableDependency, notFound } = options
  const app = Fastify({
    logger: logger(name, options),
    logController: new RequestLog(),
    clientErrorHandler: respondToClientError,
    bodyLimit: options.bodyLimit ?? 64 * 1024,
    ...behindProxies(options.trustedProxies),
    http: HTTP_LIMITS,
    requestTimeout: HTTP_LIMITS.requestTimeout,
    keepAliveTimeout: HTTP_LIMITS.keepAliveTimeout,
    connectionTimeout: IDLE_MS,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 512 },
    ajv: { customOptions: VALIDATION },
    schemaController: { compilersFactory: { buildSerializer: shareSerializers() } },
    frameworkErrors: (error, request, reply) => {
      format(reply, { status: error.statusCode ?? 400, detail: error.message })
      request.log.info({ code: error.code }, 'request refused by the router')
    },
  } as FastifyServerOptions) as unknown as FastifyInstance
  provideRequestContext(app)
  addAccountHeader(app)
  waitForCaches(app)
  setErrorFormat(app, format, unavailableDependency)
  setNotFoundFormat(app, format, notFound)
  countRequests(app, options.metrics)
  readQueriesBySchema(app)
  return app
}

function logger(name: string, { logLevel, logStream }: ServerOptions): FastifyServerOptions['logger'] {
  return {
    name,
    level: logLevel,
    stream: logStream ?? standardOutput(),
    serializers: {
      // Only the path: query strings may contain passwords (users API) and signed state (uploads).
      req: (request) => ({
        method: request.method,
        path: request.url?.split('?', 1)[0],
        remoteAddress: requestAddressOf(request),
      }),
    },
  }
}

let shared: DestinationStream | undefined

/**
 * Standard output, shared by all servers of the process. Lines are written in the background: a write on the event loop
 * costs a small request a tenth of its time. Lines that wait are written when the process exits, but not when it is
 * killed.
 */
function standardOutput(): DestinationStream {
  shared ??= pino.destination({ dest: 1, sync: false })
  return shared
}
