import { finished } from 'node:stream/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ByteBudget } from '../domain/byte-budget.ts'

/** The longest manifest that is taken: distribution's own limit is 4 MiB. */
export const MAX_MANIFEST_BYTES = 5 * 1024 * 1024
/**
 * Bytes of manifests that a process works on at once: it takes up to ten times as much memory for them. An account
 * has a part of it, so that one that pushes much at once keeps no other from pushing.
 */
export const MANIFEST_BYTES = { total: 16 * 1024 * 1024, perAccount: 8 * 1024 * 1024 }

/** How long what is refused may take to arrive, in milliseconds. */
const DISCARD_MS = 30_000

const releases = new WeakMap<FastifyRequest, () => void>()

/** Before the body of a pushed manifest is read: refuses it where too many bytes are worked on already. */
export async function reserveManifest(
  budget: ByteBudget,
  request: FastifyRequest<{ Querystring: { account?: string } }>,
  reply: FastifyReply,
): Promise<unknown> {
  // A body that does not say how long it is may be as long as one can be.
  const length = Number(request.headers['content-length'] ?? MAX_MANIFEST_BYTES)
  const release = budget.take(length, request.query.account)
  if (release === undefined) {
    // Read and thrown away: whoever is answered while sending may see a reset connection instead of the answer.
    request.raw.resume()
    await finished(request.raw, { signal: AbortSignal.timeout(DISCARD_MS) }).catch(() => undefined)
    const message = 'too many manifests are being pushed at once; retry in a second'
    return reply.send({ outcome: 'refused', code: 'TOOMANYREQUESTS', message })
  }
  releases.set(request, release)
  // Where the body is cut off, or refused, no handler runs.
  reply.raw.once('close', () => {
    if (releases.has(request)) release()
  })
  return undefined
}

/** Works on a manifest whose bytes were reserved, and gives them back when that is done, even where the client left. */
export async function whileReserved<Result>(
  request: FastifyRequest,
  work: () => Promise<Result>,
): Promise<Result> {
  const release = releases.get(request)
  releases.delete(request)
  try {
    return await work()
  } finally {
    release?.()
  }
}
