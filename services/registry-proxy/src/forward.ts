import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { FastifyHttpProxyOptions } from '@fastify/http-proxy'
import { ServiceCallError, describeUnavailable, keepAfterHead } from '@registry-manager/http'
import type { Principal } from '@registry-manager/principal'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Agent } from 'undici'
import { sendManifest } from './index-responses.ts'
import type { IndexClient } from './index-client.ts'
import type { Refusal } from './refuse.ts'
import {
  REGISTRY_HEADERS,
  isLargeBodyComing,
  refuse,
  refuseFailedCall,
  retryLater,
  sendEarly,
} from './refuse.ts'
import { toRequestHeaders } from './request-headers.ts'
import type { Headers } from './response-headers.ts'
import { toResponseHeaders } from './response-headers.ts'
import type { UploadStates } from './upload-states.ts'
import type { ForwardedRequest, UploadRequest, UpstreamRequest } from './upstream-request.ts'

/** An authorized request on its way to the registry. */
export interface Forwarding {
  readonly registryRequest: ForwardedRequest
  readonly upstream: UpstreamRequest
  readonly principal: Principal
  /** The access token that the registry gets. */
  readonly token: string
}

export interface ForwardOptions {
  readonly registryUrl: string
  readonly storageOrigins: readonly string[]
  readonly uploadSecret: string
  readonly uploadStates: UploadStates
  readonly index: Pick<IndexClient, 'findManifest' | 'aliasBlob'>
}

/**
 * Timeouts of requests to the registry, in milliseconds: to connect, until the response headers arrive, and between two
 * pieces of the response body. None of them limits a whole transfer. `headers` is long because the registry may take
 * minutes to close a large upload.
 */
const TIMEOUTS = { connect: 5000, headers: 600_000, body: 120_000 }

/** The options of @fastify/http-proxy, which provides the connections to the registry. */
export function proxyOptions(registryUrl: string): FastifyHttpProxyOptions {
  return {
    upstream: new URL(registryUrl).origin,
    prefix: '/v2',
    httpMethods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
    // A placeholder that is never sent: the handler builds the real path from the parsed request.
    preRewrite: () => '/v2/',
    rewritePrefix: '/v2',
    proxyPayloads: false,
    internalRewriteLocationHeader: false,
    disableRequestLogging: true,
    // Only clients know whether a request may be retried.
    retryMethods: [],
    disableCache: true,
    destroyAgent: true,
    // @fastify/http-proxy declares the types of the previous undici.
    undici: new Agent({
      connections: 1024,
      pipelining: 1,
      connect: { timeout: TIMEOUTS.connect },
      headersTimeout: TIMEOUTS.headers,
      bodyTimeout: TIMEOUTS.body,
    }).compose(keepAfterHead) as unknown as FastifyHttpProxyOptions['undici'],
  }
}

/** The hooks of @fastify/http-proxy for `reply.from`. They remove header values that Node refuses to send. */
type ProxyHooks = NonNullable<Parameters<FastifyReply['from']>[1]>

/** Forwards an authorized request to the registry, and the registry's response to the client, both as streams. */
export function forward(
  options: ForwardOptions,
  { registryRequest, upstream, principal, token }: Forwarding,
  request: FastifyRequest,
  reply: FastifyReply,
  { rewriteHeaders: sanitize = (headers) => headers }: ProxyHooks,
): FastifyReply {
  const { storageOrigins, uploadSecret, uploadStates } = options
  const registryUrl = new URL(options.registryUrl)
  const context = { registryUrl, storageOrigins, registryRequest, principal, uploadSecret }
  let received: Headers = {}
  // reply-from sends `request.body`. Fastify never sets it: see `registryApi`.
  if (upstream.body === 'stream' && hasBody(request)) request.body = request.raw
  return reply.from(upstream.path, {
    queryString: () => upstream.query,
    rewriteRequestHeaders: (_request, headers) =>
      toRequestHeaders(registryRequest, upstream, headers as IncomingHttpHeaders, token),
    rewriteHeaders: (headers) => {
      received = sanitize(headers) as Headers
      if (typeof received['location'] === 'string') uploadStates.remember(received['location'])
      return toResponseHeaders(received, context)
    },
    onResponse: (_request, _reply, { statusCode, stream }) => {
      const response = { statusCode, headers: received, stream }
      void finishResponse(options.index, registryRequest, request, reply, response)
    },
    onError: (_reply, { error }) => {
      request.log.warn({ err: error }, 'the registry did not respond')
      void refuse(request, reply, retryLater(describeUnavailable('registry'), 5))
    },
  })
}

function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** The registry's response, whose body has not been read yet. */
export interface UpstreamResponse {
  readonly statusCode: number
  readonly headers: Headers
  readonly stream: Readable
}

/**
 * Sends the registry's response to the client. This runs in a callback of the HTTP client, where an exception ends the
 * process. Every error is therefore turned into a response here: a failed call to image-manager into 429 or 503,
 * a bug into 500.
 */
export async function finishResponse(
  index: ForwardOptions['index'],
  registryRequest: ForwardedRequest,
  request: FastifyRequest,
  reply: FastifyReply,
  response: UpstreamResponse,
): Promise<void> {
  try {
    await sendResponse(index, registryRequest, request, reply, response)
  } catch (error) {
    discard(response, reply)
    if (error instanceof ServiceCallError) return void refuseFailedCall(request, reply, error)
    request.log.error({ err: error }, 'the response of the registry could not be sent')
    void refuse(request, reply, INTERNAL_ERROR)
  }
}

/** Removes the registry's response, so that another one can be sent. */
function discard({ stream }: UpstreamResponse, reply: FastifyReply): void {
  stream.resume()
  for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name)
  reply.headers(REGISTRY_HEADERS)
}

const FORBIDDEN_REDIRECT: Refusal = {
  code: 'UNKNOWN',
  status: 502,
  message: 'the registry redirected this request to a host that BLOB_REDIRECTS does not list',
}

/** The length to which a message shortens the client's Range. */
const MAX_RANGE_LENGTH = 100

const INTERNAL_ERROR: Refusal = { code: 'UNKNOWN', message: 'internal error' }

/** Headers of the registry's 416 that describe the blob instead of the error: they are removed. */
const BLOB_HEADERS = ['cache-control', 'content-length', 'docker-content-digest', 'etag']

/**
 * Time for which the body of a POST that starts an upload is discarded, in milliseconds: as long as nginx's
 * `lingering_time`.
 */
const UNWANTED_BODY_MS = 30_000

async function sendResponse(
  index: ForwardOptions['index'],
  registryRequest: ForwardedRequest,
  request: FastifyRequest,
  reply: FastifyReply,
  response: UpstreamResponse,
): Promise<void> {
  const { statusCode, headers, stream } = response
  // `toResponseHeaders` has removed the Location.
  if (headers['location'] !== undefined && isRedirect(statusCode) && !reply.hasHeader('location')) {
    // Without the query, which is a signature.
    const { origin } = URL.parse(String(headers['location'])) ?? {}
    request.log.error({ origin }, 'the registry redirects to an origin that BLOB_REDIRECTS does not list')
    discard(response, reply)
    return void refuse(request, reply, FORBIDDEN_REDIRECT)
  }
  // The registry does not have a manifest that only the index can store.
  if (registryRequest.kind === 'manifest' && statusCode === 404) {
    const found = await index.findManifest(registryRequest.repository, registryRequest.reference)
    if (found?.indexOnly === true) {
      stream.resume()
      return void sendManifest(reply, registryRequest, found)
    }
  }
  // distribution announces the blob's whole length for an unsatisfiable range, sends a line of text and disconnects.
  // Source: RFC 9110 §15.5.17; OCI distribution-spec 1.1, "Pulling blobs".
  if (registryRequest.kind === 'blob' && statusCode === 416) {
    stream.on('error', () => undefined).destroy()
    for (const name of BLOB_HEADERS) reply.removeHeader(name)
    const range = (request.headers.range ?? '').slice(0, MAX_RANGE_LENGTH)
    const message = `Range ${range} is outside of the blob; send HEAD for its size`
    return void refuse(request, reply, { code: 'SIZE_INVALID', status: 416, message })
  }
  // A blob that was pushed by its sha512 digest is found by both digests.
  const sha256 = headers['docker-content-digest']
  if (isUploadBySha512(registryRequest) && statusCode === 201 && typeof sha256 === 'string') {
    const { repository, digest: sha512 } = registryRequest
    await index.aliasBlob({ repository, sha512, sha256 })
  }
  // The body of the POST that starts an upload is never forwarded. reply-from sets `connection: close` on the reply if
  // the body has not arrived yet. Keep that header: a proxy in front must not reuse a connection that has unread bytes.
  if (registryRequest.kind === 'upload-start' && isLargeBodyComing(request)) {
    stream.resume()
    return void (await sendEarly(request, reply, '', UNWANTED_BODY_MS))
  }
  reply.send(stream)
}

function isRedirect(statusCode: number): boolean {
  return statusCode >= 300 && statusCode < 400
}

function isUploadBySha512(request: ForwardedRequest): request is UploadRequest & { digest: string } {
  return request.kind === 'upload' && request.digest?.startsWith('sha512:') === true
}
