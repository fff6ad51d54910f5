import httpProxy from '@fastify/http-proxy'
import { ServiceCallError, foreignChange, labelRoute } from '@registry-manager/http'
import type { RegistryRequest } from '@registry-manager/oci'
import { parseRegistryRequest } from '@registry-manager/oci'
import type { Authenticator } from '@registry-manager/principal'
import { readCredentials } from '@registry-manager/principal'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AuthenticateOptions } from './authenticate.ts'
import { authenticate } from './authenticate.ts'
import type { AuthorizeOptions } from './authorize.ts'
import { authorize } from './authorize.ts'
import { respondToAuthorizeOnly, isAuthorizeOnly } from './authorize-only.ts'
import type { FindUploaded } from './chunks.ts'
import { refuseChunk, refuseOutdated } from './chunks.ts'
import type { ForwardOptions } from './forward.ts'
import { forward, proxyOptions } from './forward.ts'
import { respondFromIndex } from './index-responses.ts'
import type { DescribeManifest } from './describe-manifest.ts'
import type { IndexClient } from './index-client.ts'
import { sendContentLocation, contentSource, locateContent } from './locate-content.ts'
import type { PullCounter } from './count-pulls.ts'
import { markPull, observePulls } from './observe-pulls.ts'
import type { PushManifestOptions } from './push-manifest.ts'
import { pushManifest, refuseLongManifest } from './push-manifest.ts'
import type { Refusal } from './refuse.ts'
import { REGISTRY_HEADERS, refuse, refuseFailedCall } from './refuse.ts'
import { withFormMount } from './request-body.ts'
import { sendFromVolume } from './send-from-volume.ts'
import type { ForwardedRequest } from './upstream-request.ts'
import { announcedBlob, toUpstreamRequest } from './upstream-request.ts'

export interface RegistryApiOptions
  extends AuthenticateOptions, AuthorizeOptions, ForwardOptions, PushManifestOptions {
  readonly authenticator: Authenticator
  readonly index: IndexClient
  readonly describeManifest: DescribeManifest
  /** The registry's folder, if this process can read it. */
  readonly registryVolume?: string
  readonly findUploaded: FindUploaded
  readonly pulls: Pick<PullCounter, 'count'>
}

/**
 * The registry API below `/v2/`. One handler takes all requests, because the grammar of repository names cannot be
 * written as routes.
 */
export async function registryApi(app: FastifyInstance, options: RegistryApiOptions): Promise<void> {
  // Fastify must not read or judge bodies before the handler has authorized the request: a malformed Content-Type
  // without credentials is 401, and the body of a refused request is not read.
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    app.addHttpMethod(method, { hasBody: false, overrideExisting: true })
  }
  await readCredentials(app)
  observePulls(app, options.pulls)
  await app.register(httpProxy, {
    ...proxyOptions(options.registryUrl),
    handler: async (request, reply, _target, hooks) => {
      try {
        return await handleRequest(options, request, reply, hooks)
      } catch (error) {
        if (!(error instanceof ServiceCallError)) throw error
        return refuseFailedCall(request, reply, error)
      }
    },
  })
}

/**
 * Handles a request: parse, authenticate, authorize, and then one of six steps: tell nginx where content is, respond
 * from the index, send content from the registry's volume, respond to an authorize-only request of nginx, push a
 * manifest, or forward to the registry. Nothing of a refused request reaches the registry, and no byte of a body is
 * read before the request is authorized.
 */
async function handleRequest(
  options: RegistryApiOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  hooks: Parameters<typeof forward>[4],
): Promise<FastifyReply> {
  const { authenticator, index, uploadSecret, uploadStates } = options
  reply.headers(REGISTRY_HEADERS)
  // HTTP/1.0 has no 100 Continue. Source: RFC 9110 §10.1.1.
  if (request.raw.httpVersion === '1.0') delete request.headers.expect

  // Parse.
  const parsed = parseRegistryRequest(request.method, request.url)
  labelRoute(request, metricsLabel(parsed, request))
  // Browsers attach cached Basic credentials to requests that any page makes.
  const foreign = foreignChange(request.method, request.headers, options.publicOrigin)
  if (foreign !== undefined) {
    const detail = { help: `send changes from a page of ${options.publicOrigin}, or without a browser` }
    return refuse(request, reply, { code: 'DENIED', message: foreign, detail })
  }
  if ('refused' in parsed) {
    if (parsed.allow !== undefined) reply.header('allow', parsed.allow.join(', '))
    return refuse(request, reply, parsed.refused)
  }

  // Authenticate and authorize. A form body may name a mount, which needs more access. The proxy reads the form only
  // after a first decision: it never waits for the body of a client that may not push.
  let permitted = await permit(options, parsed.request, request)
  if ('refused' in permitted) return refuse(request, reply, permitted.refused)
  const withMount = await withFormMount(parsed.request, request)
  if ('refused' in withMount) return refuse(request, reply, withMount.refused)
  if (withMount !== parsed.request) {
    permitted = await permit(options, withMount, request)
    if ('refused' in permitted) return refuse(request, reply, permitted.refused)
  }
  const { principal, token, authorized } = permitted

  // Tell nginx where the content is, which nginx then sends itself.
  const source = contentSource(request)
  if (source !== undefined) {
    return sendContentLocation(options, authorized, token, source, request, reply)
  }
  markPull(request, authorized)

  // Respond from the index.
  if (authorized.outcome === 'index') {
    return respondFromIndex(index, authorized.request, principal, request, reply)
  }

  // Send content from the registry's volume, or build the request to the registry.
  if (await readFromVolume(options, authorized.request, request, reply)) return reply
  const { serviceAccess } = authorized
  let registryRequest = authorized.request
  const newerState = registryRequest.kind === 'upload' ? uploadStates.findNewer(registryRequest) : undefined
  if (registryRequest.kind === 'upload' && newerState !== undefined) {
    registryRequest = { ...registryRequest, state: newerState }
    const outdated = refuseOutdated(registryRequest, principal, uploadSecret, request)
    if (outdated !== undefined) return refuse(request, reply, outdated)
  }
  const upstream = toUpstreamRequest(registryRequest)
  const refusal =
    refuseLongManifest(upstream, request) ??
    (await refuseChunk(authenticator, options.findUploaded, registryRequest, request))
  if (refusal !== undefined) return refuse(request, reply, refusal)
  // Before the upload is sent, by nginx or from here: a deletion removes only blobs that image-manager knows.
  const blob = announcedBlob(registryRequest)
  if (blob !== undefined) await index.announceBlob(blob)

  // Respond to nginx, which then sends the request to the registry itself.
  if (isAuthorizeOnly(request)) {
    // nginx does not check where the registry redirects to.
    const isRedirected = registryRequest.kind === 'blob' && options.storageOrigins.length > 0
    const ownToken = serviceAccess === undefined && !isRedirected ? token : undefined
    return respondToAuthorizeOnly({ registryRequest, upstream, principal }, ownToken, uploadSecret, reply)
  }

  // Push a manifest, or forward.
  const upstreamToken = serviceAccess === undefined ? token : await authenticator.serviceToken(serviceAccess)
  if (isMalformedType(request)) return refuse(request, reply, MALFORMED_TYPE)
  if (request.headers.expect !== undefined) {
    reply.raw.writeContinue()
    // The client now sends its body. If the header stayed, `refuse` would assume that the client still waits for 100
    // Continue.
    delete request.headers.expect
  }
  const forwarding = { registryRequest, upstream, principal, token: upstreamToken }
  if (upstream.body === 'manifest' && registryRequest.kind === 'manifest') {
    return pushManifest(options, { ...forwarding, registryRequest }, request, reply)
  }
  return forward(options, forwarding, request, reply, hooks)
}

/** Sends content from the registry's volume. Returns false if there is no volume, or if the registry has to respond. */
async function readFromVolume(
  { registryVolume, describeManifest }: RegistryApiOptions,
  registryRequest: ForwardedRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<boolean> {
  const { kind, method } = registryRequest
  if (registryVolume === undefined || isAuthorizeOnly(request)) return false
  if ((kind !== 'blob' && kind !== 'manifest') || (method !== 'GET' && method !== 'HEAD')) return false
  const content = await locateContent(describeManifest, registryRequest, 'volume', request)
  return content !== undefined && sendFromVolume(registryVolume, content, request, reply)
}

/** Authenticates and authorizes a request. */
async function permit(
  options: AuthenticateOptions & AuthorizeOptions,
  registryRequest: RegistryRequest,
  request: FastifyRequest,
) {
  const authenticated = await authenticate(options, registryRequest, request)
  if ('refused' in authenticated) return authenticated
  const authorized = await authorize(options, registryRequest, authenticated.principal, request)
  return 'refused' in authorized ? authorized : { ...authenticated, authorized }
}

/**
 * The kind of a request. Authorize-only requests have their own label, because they take far less time than transfers.
 */
function metricsLabel(parsed: ReturnType<typeof parseRegistryRequest>, request: FastifyRequest): string {
  if ('refused' in parsed) return 'invalid'
  if (isAuthorizeOnly(request)) return 'decision'
  return parsed.request.kind === 'upload-start' ? 'upload' : parsed.request.kind
}

const MALFORMED_TYPE: Refusal = {
  code: 'UNSUPPORTED',
  status: 415,
  message: 'Content-Type must be a media type, such as application/octet-stream',
}

/** Whether a request that may have a body has a Content-Type that is no media type. Source: RFC 9110 §8.3.1. */
function isMalformedType({ method, headers, mediaType }: FastifyRequest): boolean {
  if (method === 'GET' || method === 'HEAD') return false
  return headers['content-type'] !== undefined && mediaType === undefined
}
