import type { IncomingHttpHeaders } from 'node:http'
import type { ByteBudget } from '@registry-manager/http'
import { ServiceCallError, createByteBudget } from '@registry-manager/http'
import { retryOn500 } from '@registry-manager/registry-client'
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { Forwarding } from './forward.ts'
import type { IndexClient } from './index-client.ts'
import type { Refusal } from './refuse.ts'
import { refuse, retryLater } from './refuse.ts'
import { readBody } from './request-body.ts'
import { toRequestHeaders } from './request-headers.ts'
import { toResponseHeaders } from './response-headers.ts'
import type { ManifestRequest, UpstreamRequest } from './upstream-request.ts'
import { toUpstreamRequest } from './upstream-request.ts'

/* The push of a manifest: read it, announce it to image-manager, send it to the registry, have it recorded. */

const KIB = 1024
const MIB = 1024 * KIB

/** Source: distribution, `maxManifestBodySize`. */
const MAX_MANIFEST_BYTES = 4 * MIB
/** Nearly all manifests are smaller. */
const SMALL_MANIFEST_BYTES = 64 * KIB

/**
 * Limits for the bytes of manifests in memory. Each manifest is there about three times: read, sent to image-manager,
 * sent to the registry. The limits keep the process below 300 MiB. One account may use three quarters of each budget.
 * The proxy does not read requests that wait, which slows their clients down. It responds 429 to those that cannot
 * wait. Small manifests have their own budget, so that large manifests of slow clients do not delay them.
 */
const WAITING = { waiting: 512, waitingPerAccount: 128, waitMs: 30_000 }
const LARGE_BUDGET = { ...WAITING, total: 16 * MIB, perAccount: 12 * MIB }
const SMALL_BUDGET = { ...WAITING, total: 4 * MIB, perAccount: 3 * MIB }

export interface ManifestBudgets {
  readonly small: ByteBudget
  readonly large: ByteBudget
}

/** The budgets of one process. */
export function createManifestBudgets(): ManifestBudgets {
  return { small: createByteBudget(SMALL_BUDGET), large: createByteBudget(LARGE_BUDGET) }
}

const TOO_MANY_MANIFESTS: Refusal = {
  code: 'TOOMANYREQUESTS',
  message: 'too many manifests are being pushed at once; retry shortly',
  headers: { 'retry-after': '5' },
}

const MANIFEST_TOO_LONG: Refusal = {
  code: 'MANIFEST_INVALID',
  status: 413,
  message: `a manifest has at most ${MAX_MANIFEST_BYTES} bytes`,
}

/** Refuses a manifest whose Content-Length is above the limit. A chunked body has no Content-Length. */
export function refuseLongManifest(
  upstream: UpstreamRequest,
  { headers }: FastifyRequest,
): Refusal | undefined {
  if (upstream.body !== 'manifest') return undefined
  return Number(headers['content-length'] ?? 0) > MAX_MANIFEST_BYTES ? MANIFEST_TOO_LONG : undefined
}

export interface PushManifestOptions {
  readonly registryUrl: string
  readonly uploadSecret: string
  readonly index: Pick<IndexClient, 'announceManifest' | 'recordPush' | 'discardPush'>
  readonly putManifest: PutManifest
  readonly manifestBudgets: ManifestBudgets
}

type ManifestForwarding = Forwarding & { readonly registryRequest: ManifestRequest }

/** Reads a manifest, once there is room for it in memory, and pushes it. */
export async function pushManifest(
  options: PushManifestOptions,
  forwarding: ManifestForwarding,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  // A chunked body may have any permitted length.
  const length = Number(request.headers['content-length'] ?? MAX_MANIFEST_BYTES)
  const { small, large } = options.manifestBudgets
  const budget = length <= SMALL_MANIFEST_BYTES ? small : large
  const release = await budget.take(forwarding.principal.uid, length)
  if (release === undefined) return refuse(request, reply, TOO_MANY_MANIFESTS)
  try {
    const manifest = await readBody(request.raw, { maxBytes: MAX_MANIFEST_BYTES, length })
    if (manifest === undefined) return await refuse(request, reply, MANIFEST_TOO_LONG)
    return await pushWithTags(options, forwarding, manifest, request, reply)
  } finally {
    release()
  }
}

/**
 * Pushes a manifest, and then sets the tags that a push by digest names, one after the other. The first response other
 * than 201 ends the push; tags that were set before it stay. Clients may retry a push.
 * Source: OCI distribution-spec 1.1, "Pushing Manifests", `OCI-Subject`; its main branch, `tag` and `OCI-Tag`.
 */
async function pushWithTags(
  options: PushManifestOptions,
  forwarding: ManifestForwarding,
  manifest: Buffer,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { registryRequest } = forwarding
  const type = request.headers['content-type'] ?? 'application/octet-stream'
  const push = { ...forwarding, manifest, type, headers: request.headers, log: request.log }
  const pushed = await pushOnce(options, push)
  if ('refused' in pushed) return refuse(request, reply, pushed.refused)
  const { tags = [] } = registryRequest
  for (const tag of pushed.status === 201 ? tags : []) {
    const tagged = await pushOnce(options, {
      ...push,
      registryRequest: { ...registryRequest, reference: { tag } },
    })
    if ('refused' in tagged) return refuse(request, reply, tagged.refused)
    if (tagged.status !== 201) return reply.code(tagged.status).headers(tagged.headers).send(tagged.body)
  }
  if (pushed.status === 201 && tags.length > 0) reply.header('oci-tag', tags)
  return reply.code(pushed.status).headers(pushed.headers).send(pushed.body)
}

interface Push extends ManifestForwarding {
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
  | { readonly refused: Refusal }

/**
 * Pushes a manifest by one reference: announces it to image-manager, sends it to the registry, and has image-manager
 * record the outcome. So lists are correct when a push returns. If the outcome cannot be recorded the response is 503:
 * the client may retry, and the pending push is recovered later. A manifest that the registry cannot store is stored by
 * the index alone. A manifest that is pushed by its sha512 digest goes to the registry by its sha256 digest.
 */
async function pushOnce(options: PushManifestOptions, push: Push, isRetry = false): Promise<Pushed> {
  const { registryRequest, principal, token, manifest, type } = push
  const { index, putManifest, registryUrl, uploadSecret } = options
  const { repository, reference } = registryRequest
  const announced = await index.announceManifest(repository, reference, type, manifest, principal.uid)
  if (announced.outcome === 'refused') {
    const isTemporary = announced.code === 'TOOMANYREQUESTS'
    return { refused: isTemporary ? { ...announced, headers: { 'retry-after': '1' } } : announced }
  }
  if (announced.outcome === 'index-only') {
    const digest = 'digest' in reference ? reference.digest : announced.digest
    const location = `/v2/${repository}/manifests/${digest}`
    const subject = announced.subject === null ? {} : { 'oci-subject': announced.subject }
    return { status: 201, headers: { ...subject, 'docker-content-digest': digest, location } }
  }

  const upstreamReference = 'digest' in reference ? { digest: announced.digest } : reference
  const upstream = toUpstreamRequest({ ...registryRequest, reference: upstreamReference })
  const headers = toRequestHeaders(registryRequest, upstream, push.headers, token)
  // Hop-by-hop: fetch() sets Host and Content-Length of its own connection.
  delete headers['host']
  delete headers['content-length']
  const response = await putManifest(upstream.path, { ...headers, 'content-type': type }, manifest)
  const origins = { registryUrl: new URL(registryUrl), storageOrigins: [] }
  const context = { ...origins, registryRequest, principal, uploadSecret }
  const forwarded: Record<string, string | string[] | undefined> = toResponseHeaders(
    response.headers,
    context,
  )
  delete forwarded['content-length']
  if (response.status === 201) {
    const recorded = await index.recordPush(announced.id)
    if (recorded === undefined && !isRetry) return pushOnce(options, push, true)
    const { digest = null, subject = null } = recorded ?? {}
    if (digest === null) {
      const message = `${repository} was deleted while this manifest was being pushed; push it again`
      return { refused: retryLater(message, 1) }
    }
    if (subject !== null) forwarded['oci-subject'] = subject
  } else {
    // Not awaited: the response does not depend on it, and a pending push that stays is recovered later.
    index
      .discardPush(announced.id)
      .catch((err: unknown) =>
        push.log.warn(
          { err },
          'could not discard a pending push; image-manager will recover it within minutes',
        ),
      )
  }
  return { status: response.status, headers: forwarded, body: response.body }
}

/** A response of the registry with its whole body. */
export interface RegistryResponse {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: Buffer
}

export type PutManifest = (
  path: string,
  headers: Readonly<Record<string, string>>,
  manifest: Buffer,
) => Promise<RegistryResponse>

/** Storing a manifest is fast, but distribution may need time to verify its blobs on slow storage. */
const TIMEOUT_MS = 60_000

/**
 * Puts manifests into the registry. A client that disconnects does not abort the request: a push that the registry
 * accepted must be recorded. Throws ServiceCallError when the registry does not respond.
 */
export function createPutManifest(registryUrl: string): PutManifest {
  return async (path, headers, manifest) => {
    try {
      const response = await retryOn500(new URL(path, registryUrl), {
        method: 'PUT',
        headers,
        // Not copied: it may have 4 MiB, and fetch makes its own copy.
        body: manifest as Buffer<ArrayBuffer>,
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      const body = Buffer.from(await response.arrayBuffer())
      return { status: response.status, headers: Object.fromEntries(response.headers), body }
    } catch (cause) {
      throw new ServiceCallError('the registry did not respond', { dependency: 'registry', cause })
    }
  }
}
