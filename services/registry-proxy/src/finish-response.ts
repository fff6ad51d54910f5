import type { Readable } from 'node:stream'
import type { RegistryRequest } from '@registry-manager/oci'
import { ServiceCallError, describeUnavailable } from '@registry-manager/http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { IndexClient } from './index-client.ts'
import { sendManifest } from './index-answers.ts'
import { REGISTRY_HEADERS, refuse } from './refuse.ts'
import { refuseRange } from './refuse-range.ts'
import { isLargeBodyComing, sendEarly } from './send-early.ts'

/** The registry's answer: its head has come, its body not. */
export interface UpstreamAnswer {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly stream: Readable
}

export interface FinishOptions {
  readonly index: Pick<IndexClient, 'findManifest' | 'aliasBlob'>
  readonly asked: RegistryRequest
}

/**
 * How long the body of an upload's start is thrown away, in milliseconds: as long as nginx does,
 * `lingering_time`.
 */
const UNWANTED_BODY_MS = 30_000

/**
 * Sends the registry's answer on, once it is put right: a manifest that it has not may be one that the index keeps, a
 * range that a blob has not is answered whole, and a blob pushed by its sha512 is to be known by that and its sha256.
 * This runs in a callback of the HTTP client: whatever it throws would end the process, so a fault is answered here.
 */
export async function finishResponse(
  options: FinishOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  answer: UpstreamAnswer,
): Promise<void> {
  try {
    await finish(options, request, reply, answer)
  } catch (error) {
    request.log.error({ err: error }, 'the answer of the registry could not be finished')
    answer.stream.resume()
    for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name)
    reply.headers(REGISTRY_HEADERS)
    if (!(error instanceof ServiceCallError)) {
      return void refuse(request, reply, { code: 'UNKNOWN', message: 'internal error' })
    }
    reply.header('retry-after', 5)
    void refuse(request, reply, { code: 'UNAVAILABLE', message: describeUnavailable(error.dependency) })
  }
}

async function finish(
  { index, asked }: FinishOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  { statusCode, headers, stream }: UpstreamAnswer,
): Promise<void> {
  if (asked.kind === 'manifest' && statusCode === 404) {
    const found = await index.findManifest(asked.repository, asked.reference)
    if (found?.kept === true) {
      stream.resume()
      return void sendManifest(reply, asked, found)
    }
  }
  if (asked.kind === 'blob' && statusCode === 416) return void refuseRange(request, reply, stream)
  const sha256 = headers['docker-content-digest']
  if (isUploadBySha512(asked) && statusCode === 201 && typeof sha256 === 'string') {
    await index.aliasBlob({ repository: asked.repository, sha512: asked.digest, sha256 })
  }
  if (asked.kind === 'upload-start' && isLargeBodyComing(request)) {
    stream.resume()
    return void (await sendEarly(request, reply, '', UNWANTED_BODY_MS))
  }
  reply.send(stream)
}

function isUploadBySha512(
  asked: RegistryRequest,
): asked is Extract<RegistryRequest, { kind: 'upload' }> & { digest: string } {
  return asked.kind === 'upload' && asked.digest?.startsWith('sha512:') === true
}
