import type { RegistryError, RegistryRequest } from '@registry-manager/oci'
import { parseRegistryRequest, repositoryAccess } from '@registry-manager/oci'
import {
  ServiceCallError,
  describeUnavailable,
  labelRoute,
  refuseForeignChanges,
  setErrorFormat,
} from '@registry-manager/http'
import { readCredentials } from '@registry-manager/principal'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { FindUploaded } from './upload-status.ts'
import { announcedBlob } from './announced-blob.ts'
import { faultOfChunk } from './chunk.ts'
import { toUpstreamRequest } from './upstream-request.ts'
import { isLost, refuseLost } from './lost-upload.ts'
import { answerFromIndex } from './index-answers.ts'
import type { ForwardOptions } from './forward.ts'
import { MANIFEST_TOO_LONG, announcesTooLong } from './forward-manifest.ts'
import { forward, planForward } from './forward.ts'
import { withFormMount } from './form-mount.ts'
import type { AuthorizeOptions, Authorized } from './authorize.ts'
import { authorize } from './authorize.ts'
import { REGISTRY_HEADERS, refuse, registryProblem } from './refuse.ts'
import { AUTHORIZE_ONLY, answerAuthorizeOnly } from './authorize-only.ts'

export interface V2Options extends ForwardOptions, AuthorizeOptions {
  /** PUBLIC_URL's origin. */
  readonly publicOrigin: string
  readonly findUploaded: FindUploaded
}

/**
 * The registry API. Every request is parsed, its principal found, and decided on before a byte of its body is
 * read; what was decided is then carried out. Nothing that was refused reaches the registry.
 */
export async function v2(app: FastifyInstance, options: V2Options): Promise<void> {
  setErrorFormat(app, registryProblem, (error) =>
    error instanceof ServiceCallError ? error.dependency : undefined,
  )
  // A body may be coming: a refusal like any other. Browsers attach cached Basic credentials here as well.
  refuseForeignChanges(app, options.publicOrigin, (request, reply, message) => {
    reply.header('docker-distribution-api-version', 'registry/2.0')
    return refuse(request, reply, { code: 'DENIED', message })
  })
  await readCredentials(app)
  app.addHook('onRequest', async (request, reply) => {
    try {
      return await decideOn(options, request, reply)
    } catch (error) {
      if (!(error instanceof ServiceCallError)) throw error
      request.log.error({ err: error }, 'a request could not be decided on')
      reply.header('retry-after', 5)
      // A refusal like any other, for a body may be coming: not left to the error handler.
      return refuse(request, reply, { code: 'UNAVAILABLE', message: describeUnavailable(error.dependency) })
    }
  })
  await forward(app, options)
}

async function decideOn(options: V2Options, request: FastifyRequest, reply: FastifyReply) {
  reply.headers(REGISTRY_HEADERS)
  // HTTP/1.0 knows no 100 Continue. Source: RFC 9110 §10.1.1.
  if (request.raw.httpVersion === '1.0') delete request.headers.expect
  const parsed = parseRegistryRequest(request.method, request.url)
  if ('refused' in parsed) {
    labelRoute(request, 'invalid')
    if (parsed.allow !== undefined) reply.header('allow', parsed.allow.join(', '))
    return refuse(request, reply, parsed.refused)
  }
  labelRoute(request, routeOf(parsed.request, request))
  const authorized = await authorize(options, parsed.request, request, reply)
  if (authorized === undefined) return reply

  // The form is read only now: nobody's body is waited for before it is known that they may push.
  const asked = await withFormMount(parsed.request, request)
  if ('refused' in asked) return refuse(request, reply, asked.refused)
  if (asked === parsed.request) return fulfil(options, asked, authorized, request, reply)
  const authorizedWithForm = await authorize(options, asked, request, reply)
  return authorizedWithForm === undefined ? reply : fulfil(options, asked, authorizedWithForm, request, reply)
}

/** The request's kind for metrics. nginx's questions are labelled apart: they take far less time than transfers. */
function routeOf({ kind }: RegistryRequest, { headers }: FastifyRequest): string {
  if (headers[AUTHORIZE_ONLY] !== undefined) return 'decision'
  return kind === 'upload-start' ? 'upload' : kind
}

/** Has a permitted request answered by the index, or forwarded by the handler that runs next. */
async function fulfil(
  options: V2Options,
  asked: RegistryRequest,
  { decision, principal, token }: Authorized,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  if (decision.outcome === 'index') {
    return answerFromIndex(options.index, decision.asked, principal, request, reply)
  }
  const { serviceAccess } = decision
  const newer = asked.kind === 'upload' ? options.uploadStates.findNewer(asked) : undefined
  if (newer !== undefined && asked.kind === 'upload') {
    const resumed = { ...asked, state: newer }
    // Bytes that do not say where they belong were meant for an earlier place.
    if (isLost(resumed, request)) return refuseLost(options, resumed, principal, request, reply)
    const upstream = toUpstreamRequest(resumed)
    const forward = { outcome: 'forward', upstream, serviceAccess } as const
    return fulfil(options, resumed, { decision: forward, principal, token }, request, reply)
  }
  const { upstream } = decision
  if (announcesTooLong(upstream, request)) return refuse(request, reply, MANIFEST_TOO_LONG)
  const fault = await findChunkFault(options, asked, request)
  if (fault !== undefined) return refuse(request, reply, fault)
  // Before the upload is sent, here or by nginx: no deletion removes a blob that image-manager does not know.
  const blob = announcedBlob(asked, upstream)
  if (blob !== undefined) await options.index.announceBlob(blob)
  if (request.headers[AUTHORIZE_ONLY] !== undefined) {
    const isCallersToken = serviceAccess === undefined
    return answerAuthorizeOnly(
      { asked, upstream, principal, token },
      isCallersToken,
      options.uploadSecret,
      reply,
    )
  }
  const carried =
    serviceAccess === undefined ? token : await options.authenticator.serviceToken(serviceAccess)
  planForward(request, { asked, upstream, principal, token: carried })
  // A client that waits for leave to send its body has it now, and not before.
  if (request.headers.expect !== undefined) {
    reply.raw.writeContinue()
    // From here on the body is under way like any other, should it be refused after all.
    delete request.headers.expect
  }
}

/** Why a chunk that says where it belongs cannot be taken; the registry is asked how far the upload is. */
async function findChunkFault(
  { authenticator, findUploaded }: V2Options,
  asked: RegistryRequest,
  { headers }: FastifyRequest,
): Promise<RegistryError | undefined> {
  const contentRange = headers['content-range']
  if (asked.kind !== 'upload' || contentRange === undefined) return undefined
  if (asked.method !== 'PATCH' && asked.method !== 'PUT') return undefined
  const status = { ...asked, method: 'GET', digest: undefined } as const
  const { path, query } = toUpstreamRequest(status)
  const token = await authenticator.serviceToken([repositoryAccess(asked.repository, 'pull')])
  const uploaded = await findUploaded(`${path}?${query}`, token)
  // An upload that the registry does not know: it says so itself.
  if (uploaded === undefined) return undefined
  const message = faultOfChunk({ contentRange, contentLength: headers['content-length'], uploaded })
  return message === undefined ? undefined : { code: 'BLOB_UPLOAD_INVALID', status: 416, message }
}
