import type { Access, RegistryError, RegistryRequest } from '@registry-manager/oci'
import { formatBearerChallenge, parseRegistryRequest, repositoryAccess } from '@registry-manager/oci'
import {
  ServiceCallError,
  credentialsOf,
  readCredentials,
  refuseForeignChanges,
  registryErrors,
  setErrorFormat,
} from '@registry-manager/service-kit'
import type { TokenGate } from '@registry-manager/service-kit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { FindUploaded } from '../adapters/upload-status.ts'
import { faultOfChunk } from '../domain/chunk.ts'
import { challengeAccess, decide, usableAccess } from '../domain/decide.ts'
import { toUpstreamRequest } from '../domain/upstream-request.ts'
import { answerFromIndex } from './answer-from-index.ts'
import type { CarryOptions } from './carry.ts'
import { MANIFEST_TOO_LONG, announcesTooLong, carry, orderCarriage } from './carry.ts'
import { refuse } from './refuse.ts'
import { withFormMount } from './form-mount.ts'
import { DECIDE_ONLY, tellDecision } from './tell-decision.ts'

export interface V2Options extends CarryOptions {
  /** URL of the token endpoint. */
  readonly realm: string
  readonly service: string
  /** PUBLIC_URL's origin. */
  readonly publicOrigin: string
  readonly gate: TokenGate
  readonly findUploaded: FindUploaded
}

/**
 * The registry API. Every request is parsed, its caller found, and decided on before a byte of its body is
 * read; what was decided is then carried out. Nothing that was refused reaches the registry.
 */
export async function v2(app: FastifyInstance, options: V2Options): Promise<void> {
  setErrorFormat(app, registryErrors, (error) => (error instanceof ServiceCallError ? error.part : undefined))
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
      return refuse(request, reply, { code: 'UNAVAILABLE', message: `${error.part} is not answering` })
    }
  })
  await carry(app, options)
}

async function decideOn(options: V2Options, request: FastifyRequest, reply: FastifyReply) {
  reply.header('docker-distribution-api-version', 'registry/2.0')
  // HTTP/1.0 knows no 100 Continue. Source: RFC 9110 §10.1.1.
  if (request.raw.httpVersion === '1.0') delete request.headers.expect
  const parsed = parseRegistryRequest(request.method, request.url)
  if ('refused' in parsed) {
    if (parsed.allow !== undefined) reply.header('allow', parsed.allow.join(', '))
    return refuse(request, reply, parsed.refused)
  }
  const asked = await withFormMount(parsed.request, request)
  if ('refused' in asked) return refuse(request, reply, asked.refused)
  const found = await options.gate.authenticate(credentialsOf(request), request.ip, usableAccess(asked))
  switch (found.outcome) {
    case 'refused':
      challenge(options, reply, asked, found.error)
      return refuse(request, reply, { code: 'UNAUTHORIZED' })
    case 'throttled':
      reply.header('retry-after', found.retryAfterSeconds)
      return refuse(request, reply, { code: 'TOOMANYREQUESTS', message: 'too many failed sign-ins' })
    case 'unavailable':
      reply.header('retry-after', 5)
      return refuse(request, reply, { code: 'UNAVAILABLE', message: `${found.part} is not answering` })
    case 'unknown':
      reply.header('retry-after', 1)
      return refuse(request, reply, {
        code: 'UNAVAILABLE',
        message: 'it is not known which tokens are revoked',
      })
    case 'caller':
  }

  const { caller, token } = found
  const decision = decide(asked, caller, options.uploadSecret)
  switch (decision.outcome) {
    case 'insufficient':
      // While the database is away tokens only pull, whatever their account may do: that is no refusal.
      if (decision.required.some(isMoreThanPull)) await options.gate.confirmAccount(caller.uid)
      // A password will not get more by asking again; another token might.
      if (credentialsOf(request).kind === 'basic') return refuse(request, reply, { code: 'DENIED' })
      challenge(options, reply, asked, 'insufficient_scope')
      return refuse(request, reply, { code: 'UNAUTHORIZED', message: 'the token does not permit this' })
    case 'foreign-upload':
      return refuse(request, reply, { code: 'BLOB_UPLOAD_UNKNOWN' })
    case 'index':
      return answerFromIndex(options.index, decision.asked, caller, request, reply)
    case 'forward': {
      const { upstream, serviceAccess } = decision
      if (announcesTooLong(upstream, request)) return refuse(request, reply, MANIFEST_TOO_LONG)
      const fault = await findChunkFault(options, asked, request)
      if (fault !== undefined) return refuse(request, reply, fault)
      if (request.headers[DECIDE_ONLY] !== undefined) {
        const isCallersToken = serviceAccess === undefined
        return tellDecision({ asked, upstream, caller, token }, isCallersToken, options.uploadSecret, reply)
      }
      const carried = serviceAccess === undefined ? token : await options.gate.serviceToken(serviceAccess)
      orderCarriage(request, { asked, upstream, caller, token: carried })
      // A client that waits for leave to send its body has it now, and not before.
      if (request.headers.expect !== undefined) {
        reply.raw.writeContinue()
        // From here on the body is under way like any other, should it be refused after all.
        delete request.headers.expect
      }
    }
  }
}

/** Why a chunk that says where it belongs cannot be taken; the registry is asked how far the upload is. */
async function findChunkFault(
  { gate, findUploaded }: V2Options,
  asked: RegistryRequest,
  { headers }: FastifyRequest,
): Promise<RegistryError | undefined> {
  const contentRange = headers['content-range']
  if (asked.kind !== 'upload' || contentRange === undefined) return undefined
  if (asked.method !== 'PATCH' && asked.method !== 'PUT') return undefined
  const status = { ...asked, method: 'GET', digest: undefined } as const
  const { path, query } = toUpstreamRequest(status)
  const token = await gate.serviceToken([repositoryAccess(asked.repository, 'pull')])
  const uploaded = await findUploaded(`${path}?${query}`, token)
  // An upload that the registry does not know: it says so itself.
  if (uploaded === undefined) return undefined
  const message = faultOfChunk({ contentRange, contentLength: headers['content-length'], uploaded })
  return message === undefined ? undefined : { code: 'BLOB_UPLOAD_INVALID', status: 416, message }
}

function isMoreThanPull({ actions }: Access): boolean {
  return actions.some((action) => action !== 'pull')
}

function challenge(
  { realm, service }: V2Options,
  reply: FastifyReply,
  asked: RegistryRequest,
  error?: 'insufficient_scope' | 'invalid_token',
): void {
  const required = challengeAccess(asked)
  reply.header('www-authenticate', formatBearerChallenge({ realm, service, required, error }))
}
