import { describeUnavailable } from '@registry-manager/http'
import type { IncomingHttpHeaders } from 'node:http'
import httpProxy from '@fastify/http-proxy'
import type { RegistryRequest } from '@registry-manager/oci'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Principal } from '@registry-manager/principal'
import { toRequestHeaders } from './request-headers.ts'
import type { UploadStates } from './upload-states.ts'
import { toResponseHeaders } from './response-headers.ts'
import type { UpstreamRequest } from './upstream-request.ts'
import type { PushManifestPorts } from './push-manifest.ts'
import { carryManifest, createManifestBudgets } from './forward-manifest.ts'
import { finishResponse } from './finish-response.ts'
import { refuse } from './refuse.ts'

export interface ForwardOptions extends PushManifestPorts {
  readonly registryUrl: string
  readonly uploadSecret: string
  readonly uploadStates: UploadStates
}

/** What was decided is to be sent. */
export interface ForwardPlan {
  readonly asked: RegistryRequest
  readonly upstream: UpstreamRequest
  readonly principal: Principal
  readonly token: string
}

const CARRIAGE = 'plan'

/**
 * Deadlines of the registry, in milliseconds. They run while nothing moves, not over the whole of a transfer:
 * a closing PUT may be worked on for long before its answer begins.
 */
const DEADLINES = { connect: 5000, headers: 600_000, body: 120_000 }

/** Notes what the carrier is to do for a request. */
export function planForward(request: FastifyRequest, plan: ForwardPlan): void {
  request.setDecorator<ForwardPlan>(CARRIAGE, plan)
}

/**
 * Carries requests to the registry, and its answers back, as streams. It knows nothing of what came but what
 * was ordered; a request without an order is a fault.
 */
export async function forward(app: FastifyInstance, options: ForwardOptions): Promise<void> {
  const { registryUrl, uploadSecret, uploadStates } = options
  const registry = new URL(registryUrl)
  const budgets = createManifestBudgets()
  const carriageOf = (request: unknown) => (request as FastifyRequest).getDecorator<ForwardPlan>(CARRIAGE)
  app.decorateRequest(CARRIAGE, null)
  // Fastify's own parser of text/plain would read such a body as UTF-8, and no more than 64 KiB of it.
  app.removeAllContentTypeParsers()
  await app.register(httpProxy, {
    upstream: registry.origin,
    prefix: '/v2',
    rewritePrefix: '/v2',
    httpMethods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
    internalRewriteLocationHeader: false,
    disableRequestLogging: true,
    // Retrying is the client's: it alone knows whether a request may be repeated.
    retryMethods: [],
    disableCache: true,
    destroyAgent: true,
    undici: {
      connections: 1024,
      pipelining: 1,
      connect: { timeout: DEADLINES.connect },
      headersTimeout: DEADLINES.headers,
      bodyTimeout: DEADLINES.body,
    },
    replyOptions: {
      rewriteRequestHeaders: (request, headers) => {
        const { asked, upstream, token } = carriageOf(request)
        return toRequestHeaders(asked, upstream, headers as IncomingHttpHeaders, token)
      },
      rewriteHeaders: (headers, request) => {
        if (typeof headers['location'] === 'string') uploadStates.note(headers['location'])
        const context = { ...carriageOf(request), registryUrl: registry, uploadSecret }
        return toResponseHeaders(headers as never, context)
      },
      onResponse: (request, reply, answer) => {
        const order = { index: options.index, asked: carriageOf(request).asked }
        void finishResponse(order, request as never, reply as never, answer as never)
      },
      queryString: (_search, _url, request) => carriageOf(request).upstream.query,
      onError: (reply, { error }) => answerFailure(reply as unknown as FastifyReply, error),
    },
    handler: async (request, reply, _destination, replyOptions) => {
      const { upstream } = carriageOf(request)
      if (upstream.body === 'stream') return reply.from(upstream.path, replyOptions)
      if (upstream.body === 'none')
        return reply.from(upstream.path, { ...replyOptions, ...withoutBody(request) })
      return carryManifest(options, budgets, carriageOf(request), request as never, reply as never)
    },
  })
}

function withoutBody({ method }: { method: string }) {
  return method === 'GET' || method === 'HEAD' ? {} : { body: null }
}

function answerFailure(reply: FastifyReply, error: unknown): void {
  reply.request.log.warn({ err: error }, 'the registry did not answer')
  reply.header('retry-after', 5)
  void refuse(reply.request, reply, { code: 'UNAVAILABLE', message: describeUnavailable('registry') })
}
