import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { PullCounter } from './count-pulls.ts'
import type { Authorized } from './authorize.ts'

const PULL = 'pull'

/** The repository and the tag that a request for a manifest names. */
interface RequestedManifest {
  readonly repository: string
  readonly tag: string | undefined
}

/**
 * Counts each response that contains a manifest, and each decision that lets nginx send one.
 * HEAD, which clients use to poll, is not counted, and neither is 304.
 */
export function observePulls(app: FastifyInstance, pulls: Pick<PullCounter, 'count'>): void {
  app.decorateRequest(PULL, null)
  app.addHook('onResponse', (request, reply, done) => {
    const requested = request.getDecorator<RequestedManifest | null>(PULL)
    const digest = requested === null || reply.statusCode !== 200 ? undefined : digestIn(reply)
    if (requested !== null && digest !== undefined) pulls.count({ ...requested, digest })
    done()
  })
}

/** Counts the decision that lets nginx send a manifest. Most pulls are such decisions. */
export function countDecision(
  pulls: Pick<PullCounter, 'count'>,
  request: Authorized['request'],
  digest: string,
): void {
  const requested = requestedManifest(request)
  if (requested !== undefined) pulls.count({ ...requested, digest })
}

/** Marks an authorized request, so that its response is counted if it is a pull. */
export function markPull(request: FastifyRequest, authorized: Authorized): void {
  const requested = requestedManifest(authorized.request)
  if (requested !== undefined) request.setDecorator<RequestedManifest>(PULL, requested)
}

/** Undefined unless the request is a GET of a manifest. */
function requestedManifest(request: Authorized['request']): RequestedManifest | undefined {
  if (request.kind !== 'manifest' || request.method !== 'GET') return undefined
  const { repository, reference } = request
  return { repository, tag: 'tag' in reference ? reference.tag : undefined }
}

/** The digest of a manifest that a response has. */
function digestIn(reply: FastifyReply): string | undefined {
  const digest = reply.getHeader('docker-content-digest')
  return typeof digest === 'string' ? digest : undefined
}
