import type { FastifyReply, FastifyRequest } from 'fastify'
import type { IndexClient } from '../adapters/index-client.ts'
import type { SendManifest } from '../adapters/manifest-sender.ts'
import { toRequestHeaders } from '../domain/request-headers.ts'
import { toResponseHeaders } from '../domain/response-headers.ts'
import type { Carriage } from './carry.ts'
import { refuse } from './refuse.ts'

export interface PushManifestPorts {
  readonly registryUrl: string
  readonly uploadSecret: string
  readonly index: IndexClient
  readonly sendManifest: SendManifest
}

/**
 * Pushes a manifest: image-manager admits it, the registry takes it, image-manager writes down what the
 * registry has then. So lists are right the moment a push returns. Where it cannot be written down the answer
 * is 503: the push may be repeated, and what is pending is settled later.
 * Source: OCI distribution-spec 1.1, "Pushing Manifests", `OCI-Subject`.
 */
export async function pushManifest(
  ports: PushManifestPorts,
  { asked, upstream, caller, token }: Carriage,
  manifest: Buffer,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  if (asked.kind !== 'manifest') throw new Error(`a ${asked.kind} is no manifest`)
  const { index, sendManifest, registryUrl, uploadSecret } = ports
  const { repository } = asked
  const reference = 'tag' in asked.reference ? asked.reference.tag : asked.reference.digest
  const type = request.headers['content-type'] ?? 'application/octet-stream'
  const admitted = await index.admit(repository, reference, type, manifest)
  if ('refused' in admitted) return refuse(request, reply, admitted.refused)

  const headers = toRequestHeaders(asked, upstream, request.headers, token)
  // Those are the connection's, and this is another one.
  delete headers['host']
  delete headers['content-length']
  const answer = await sendManifest(upstream.path, { ...headers, 'content-type': type }, manifest)
  if (answer.status === 201) {
    const { subject } = await index.record(admitted.id)
    if (subject !== null) reply.header('oci-subject', subject)
  } else {
    // Not waited for: what is left over is settled later, and the client's answer does not depend on it.
    void index
      .discard(admitted.id)
      .catch((err: unknown) => request.log.warn({ err }, 'an admission is left over'))
  }
  const passed = toResponseHeaders(answer.headers, new URL(registryUrl), caller, uploadSecret)
  delete passed['content-length']
  return reply.code(answer.status).headers(passed).send(answer.body)
}
