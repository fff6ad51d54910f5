import { ServiceCallError } from '@registry-manager/http'
import { MEDIA_TYPES } from '@registry-manager/oci'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Authorized } from './authorize.ts'
import type { DescribeManifest } from './describe-manifest.ts'
import type { PullCounter } from './count-pulls.ts'
import { countDecision } from './observe-pulls.ts'
import { manifestAccept } from './request-headers.ts'
import type { ForwardedRequest } from './upstream-request.ts'

/**
 * The source from which nginx takes content: the registry's volume, its own cache, or the registry. nginx names it in
 * X-Content-From when it asks where content is. A client that sets the header gains nothing: the response names only
 * content that the client may read anyway.
 */
export type ContentSource = 'volume' | 'cache' | 'registry'

const SOURCES: readonly unknown[] = ['volume', 'cache', 'registry'] satisfies ContentSource[]

/** The source that nginx offers to read content from. Undefined if nginx does not ask where content is. */
export function contentSource({ headers }: FastifyRequest): ContentSource | undefined {
  const source = headers['x-content-from']
  return SOURCES.includes(source) ? (source as ContentSource) : undefined
}

/**
 * Time for which nginx may repeat a decision, in the value of X-Accel-Expires. nginx counts whole seconds: 1 means
 * between one and two seconds.
 */
const DECISION_SECONDS = '1'

export interface LocateOptions {
  readonly describeManifest: DescribeManifest
  /** Origins that clients may be redirected to. */
  readonly storageOrigins: readonly string[]
  readonly pulls: Pick<PullCounter, 'count'>
}

/**
 * Tells nginx where the content of a permitted request is. nginx then sends it without this process. The response 204
 * tells nginx to send the request to this service instead.
 *
 * nginx may repeat the decision for a digest for a moment. It asks for a tag each time, because a tag may move.
 */
export async function sendContentLocation(
  { describeManifest, storageOrigins, pulls }: LocateOptions,
  authorized: Authorized,
  token: string,
  source: ContentSource,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  reply.header('cache-control', 'no-store')
  if (authorized.outcome === 'index') return reply.code(204).send()
  // nginx never gets a service token, so it cannot ask the registry instead of this service.
  if (authorized.serviceAccess !== undefined && source !== 'volume') return reply.code(204).send()
  // This service passes the registry's redirect on to the client.
  const isRedirected = authorized.request.kind === 'blob' && storageOrigins.length > 0
  if (isRedirected && source !== 'volume') return reply.code(204).send()
  const content = await locateContent(describeManifest, authorized.request, source, request)
  if (content === undefined) return reply.code(204).send()
  reply.header('x-decided-content', `/.content/${content.kind}/${content.repository}/${content.digest}`)
  if (content.mediaType !== undefined) reply.header('x-decided-type', content.mediaType)
  const isOwn = request.headers.authorization === `Bearer ${token}`
  if (source !== 'volume' && !isOwn) reply.header('x-decided-authorization', `Bearer ${token}`)
  // nginx does not compare addresses.
  const isRepeatable = isOwn && content.isFixed && !authorized.isAddressBound
  if (isRepeatable) reply.header('x-accel-expires', DECISION_SECONDS)
  countDecision(pulls, authorized.request, content.digest)
  return reply.code(200).send()
}

/** A blob or manifest that a repository may have. */
export interface Content {
  readonly kind: 'blobs' | 'manifests'
  readonly repository: string
  /** A sha256 digest. */
  readonly digest: string
  /** The type of a manifest, which the registry's volume does not tell. */
  readonly mediaType?: string
  /** Whether the request names the digest. */
  readonly isFixed: boolean
}

/** Finds the content that a request reads. Undefined if only the registry or the index can respond. */
export async function locateContent(
  describeManifest: DescribeManifest,
  registryRequest: ForwardedRequest,
  source: ContentSource,
  request: FastifyRequest,
): Promise<Content | undefined> {
  if (registryRequest.kind === 'blob') {
    const { repository, digest } = registryRequest
    if (!digest.startsWith('sha256:')) return undefined
    return { kind: 'blobs', repository, digest, isFixed: true }
  }
  if (registryRequest.kind !== 'manifest') return undefined
  const { repository, reference } = registryRequest
  if ('digest' in reference && source !== 'volume') {
    return { kind: 'manifests', repository, digest: reference.digest, isFixed: true }
  }
  const described = await describeManifest(repository, reference).catch((error: unknown) => {
    // Only the registry can respond.
    if (error instanceof ServiceCallError) return undefined
    throw error
  })
  if (described === undefined || described.indexOnly) return undefined
  const { digest, mediaType } = described
  const isFixed = 'digest' in reference
  if (!isFixed && isConverted(mediaType, request)) return undefined
  return { kind: 'manifests', repository, digest, mediaType, isFixed }
}

/** Whether the registry would convert a manifest that is requested by its tag. See `manifestAccept`. */
function isConverted(mediaType: string, { headers }: FastifyRequest): boolean {
  return (
    mediaType === MEDIA_TYPES.dockerList && !manifestAccept(headers.accept).includes(MEDIA_TYPES.dockerList)
  )
}
