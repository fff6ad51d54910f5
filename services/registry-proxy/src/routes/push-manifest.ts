import type { FastifyReply, FastifyRequest } from 'fastify'
import type { IndexClient } from '../adapters/index-client.ts'
import type { SendManifest } from '../adapters/manifest-sender.ts'
import { toRequestHeaders } from '../domain/request-headers.ts'
import { toResponseHeaders } from '../domain/response-headers.ts'
import { toUpstreamRequest } from '../domain/upstream-request.ts'
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
 * is 503: the push may be repeated, and what is pending is settled later. What the registry cannot take is kept by
 * image-manager, and never goes there; what is pushed by its sha512 goes there by its sha256.
 * Source: OCI distribution-spec 1.1, "Pushing Manifests", `OCI-Subject`.
 */
export async function pushManifest(
  ports: PushManifestPorts,
  carriage: Carriage,
  manifest: Buffer,
  request: FastifyRequest,
  reply: FastifyReply,
  isAgain = false,
) {
  const { asked, caller, token } = carriage
  if (asked.kind !== 'manifest') throw new Error(`a ${asked.kind} is no manifest`)
  const { index, sendManifest, registryUrl, uploadSecret } = ports
  const { repository, reference } = asked
  const type = request.headers['content-type'] ?? 'application/octet-stream'
  const admitted = await index.admit(repository, reference, type, manifest, caller.uid)
  if (admitted.outcome === 'refused') {
    if (admitted.code === 'TOOMANYREQUESTS') reply.header('retry-after', 1)
    return refuse(request, reply, admitted)
  }
  if (admitted.outcome === 'kept') {
    const digest = 'digest' in reference ? reference.digest : admitted.digest
    if (admitted.subject !== null) reply.header('oci-subject', admitted.subject)
    reply.header('docker-content-digest', digest).header('location', `/v2/${repository}/manifests/${digest}`)
    return reply.code(201).send()
  }

  const known = 'digest' in reference ? { digest: admitted.digest } : reference
  const upstream = toUpstreamRequest({ ...asked, reference: known })
  const headers = toRequestHeaders(asked, upstream, request.headers, token)
  // Those are the connection's, and this is another one.
  delete headers['host']
  delete headers['content-length']
  const answer = await sendManifest(upstream.path, { ...headers, 'content-type': type }, manifest)
  if (answer.status === 201) {
    const recorded = await index.record(admitted.id)
    if (recorded === undefined && !isAgain)
      return pushManifest(ports, carriage, manifest, request, reply, true)
    const { digest = null, subject = null } = recorded ?? {}
    if (digest === null) {
      reply.header('retry-after', 1)
      return refuse(request, reply, {
        code: 'UNAVAILABLE',
        message: 'it was deleted meanwhile: push it again',
      })
    }
    if (subject !== null) reply.header('oci-subject', subject)
  } else {
    // Not waited for: what is left over is settled later, and the client's answer does not depend on it.
    void index
      .discard(admitted.id)
      .catch((err: unknown) => request.log.warn({ err }, 'an admission is left over'))
  }
  const context = { registryUrl: new URL(registryUrl), asked, caller, uploadSecret }
  const passed = toResponseHeaders(answer.headers, context)
  delete passed['content-length']
  return reply.code(answer.status).headers(passed).send(answer.body)
}
