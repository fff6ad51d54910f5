import type { Readable } from 'node:stream'
import type { RegistryRequest } from '@registry-manager/oci'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { IndexClient } from '../adapters/index-client.ts'
import { sendManifest } from './answer-from-index.ts'
import { refuse } from './refuse.ts'
import { refuseRange } from './refuse-range.ts'

/** The registry's answer: its head has come, its body not. */
export interface UpstreamAnswer {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly stream: Readable
}

/**
 * Sends the registry's answer on, once it is put right: a manifest that it has not may be one that the index keeps, a
 * range that a blob has not is answered whole, and a blob pushed by its sha512 is to be known by that and its sha256.
 */
export async function finishAnswer(
  { index, asked }: { readonly index: IndexClient; readonly asked: RegistryRequest },
  request: FastifyRequest,
  reply: FastifyReply,
  { statusCode, headers, stream }: UpstreamAnswer,
): Promise<void> {
  try {
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
    reply.send(stream)
  } catch (error) {
    request.log.error({ err: error }, 'the index does not answer')
    stream.resume()
    for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name)
    reply.header('docker-distribution-api-version', 'registry/2.0').header('retry-after', 5)
    void refuse(request, reply, { code: 'UNAVAILABLE', message: 'image-manager is not answering' })
  }
}

function isUploadBySha512(
  asked: RegistryRequest,
): asked is Extract<RegistryRequest, { kind: 'upload' }> & { digest: string } {
  return asked.kind === 'upload' && asked.digest?.startsWith('sha512:') === true
}
