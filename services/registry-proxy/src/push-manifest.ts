import type { IncomingHttpHeaders } from 'node:http'
import type { RegistryError, RegistryRequest } from '@registry-manager/oci'
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { IndexClient } from './index-client.ts'
import type { SendManifest } from './manifest-sender.ts'
import { toRequestHeaders } from './request-headers.ts'
import { toResponseHeaders } from './response-headers.ts'
import { toUpstreamRequest } from './upstream-request.ts'
import type { ForwardPlan } from './forward.ts'
import { refuse } from './refuse.ts'

export interface PushManifestPorts {
  readonly registryUrl: string
  readonly uploadSecret: string
  readonly index: IndexClient
  readonly sendManifest: SendManifest
}

/**
 * Pushes a manifest, and sets the tags that a push by digest names, one after the other; an answer other than 201 to one
 * of them is the answer to all, and those before it stay set. A push may be repeated.
 * Source: OCI distribution-spec 1.1, "Pushing Manifests", `OCI-Subject`; its main branch, `tag` and `OCI-Tag`.
 */
export async function pushManifest(
  ports: PushManifestPorts,
  plan: ForwardPlan,
  manifest: Buffer,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const { asked } = plan
  if (asked.kind !== 'manifest') throw new Error(`a ${asked.kind} is no manifest`)
  const type = request.headers['content-type'] ?? 'application/octet-stream'
  const push = { ...plan, asked, manifest, type, headers: request.headers, log: request.log }
  const pushed = await pushOnce(ports, push)
  if ('refused' in pushed) return refusePush(request, reply, pushed)
  const { tags = [] } = asked
  for (const tag of pushed.status === 201 ? tags : []) {
    const tagged = await pushOnce(ports, { ...push, asked: { ...asked, reference: { tag } } })
    if ('refused' in tagged) return refusePush(request, reply, tagged)
    if (tagged.status !== 201) return reply.code(tagged.status).headers(tagged.headers).send(tagged.body)
  }
  if (pushed.status === 201 && tags.length > 0) reply.header('oci-tag', tags)
  return reply.code(pushed.status).headers(pushed.headers).send(pushed.body)
}

interface Push extends Omit<ForwardPlan, 'asked'> {
  readonly asked: Extract<RegistryRequest, { kind: 'manifest' }>
  readonly manifest: Buffer
  readonly type: string
  readonly headers: IncomingHttpHeaders
  readonly log: FastifyBaseLogger
}

type Pushed =
  | {
      readonly status: number
      readonly headers: Record<string, string | string[] | undefined>
      readonly body?: Buffer
    }
  | { readonly refused: RegistryError; readonly retryAfterSeconds?: number }

/**
 * Pushes a manifest by one reference: image-manager admits it, the registry takes it, image-manager records what the
 * registry has then. So lists are right the moment a push returns. Where it cannot be recorded the answer is 503: the
 * push may be repeated, and what is pending is settled later. What the registry cannot take is kept by image-manager,
 * and never goes there; what is pushed by its sha512 goes there by its sha256.
 */
async function pushOnce(ports: PushManifestPorts, push: Push, isAgain = false): Promise<Pushed> {
  const { asked, principal, token, manifest, type } = push
  const { index, sendManifest, registryUrl, uploadSecret } = ports
  const { repository, reference } = asked
  const admitted = await index.admit(repository, reference, type, manifest, principal.uid)
  if (admitted.outcome === 'refused') {
    return admitted.code === 'TOOMANYREQUESTS'
      ? { refused: admitted, retryAfterSeconds: 1 }
      : { refused: admitted }
  }
  if (admitted.outcome === 'kept') {
    const digest = 'digest' in reference ? reference.digest : admitted.digest
    const location = `/v2/${repository}/manifests/${digest}`
    const subject = admitted.subject === null ? {} : { 'oci-subject': admitted.subject }
    return { status: 201, headers: { ...subject, 'docker-content-digest': digest, location } }
  }

  const known = 'digest' in reference ? { digest: admitted.digest } : reference
  const upstream = toUpstreamRequest({ ...asked, reference: known })
  const headers = toRequestHeaders(asked, upstream, push.headers, token)
  // Hop-by-hop: fetch() sets Host and Content-Length of its own connection.
  delete headers['host']
  delete headers['content-length']
  const answer = await sendManifest(upstream.path, { ...headers, 'content-type': type }, manifest)
  const context = { registryUrl: new URL(registryUrl), asked, principal, uploadSecret }
  const passed: Record<string, string | string[] | undefined> = toResponseHeaders(answer.headers, context)
  delete passed['content-length']
  if (answer.status === 201) {
    const recorded = await index.record(admitted.id)
    if (recorded === undefined && !isAgain) return pushOnce(ports, push, true)
    const { digest = null, subject = null } = recorded ?? {}
    if (digest === null) {
      const message = `${repository} was deleted while this manifest was being pushed; push it again`
      return { refused: { code: 'UNAVAILABLE', message }, retryAfterSeconds: 1 }
    }
    if (subject !== null) passed['oci-subject'] = subject
  } else {
    // Not waited for: what is left over is settled later, and the client's answer does not depend on it.
    void index
      .discard(admitted.id)
      .catch((err: unknown) =>
        push.log.warn({ err }, 'could not discard a pending push; it is settled later'),
      )
  }
  return { status: answer.status, headers: passed, body: answer.body }
}

function refusePush(
  request: FastifyRequest,
  reply: FastifyReply,
  { refused, retryAfterSeconds }: Extract<Pushed, { refused: unknown }>,
) {
  if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds)
  return refuse(request, reply, refused)
}
