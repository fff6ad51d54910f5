import { finished } from 'node:stream/promises'
import type { ByteBudget } from '@registry-manager/http'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** The longest manifest that is taken: distribution's own limit is 4 MiB. */
export const MAX_MANIFEST_BYTES = 5 * 1024 * 1024
/**
 * Bytes of manifests that a process works on at once: it takes up to ten times as much memory for them. An account
 * has a part of it, so that one account that pushes many at once does not block the others. A request waits before
 * its body is read, which costs no memory, and less long than registry-proxy waits for the response.
 */
export const MANIFEST_BUDGET = {
  total: 6 * 1024 * 1024,
  perAccount: 5 * 1024 * 1024,
  waiting: 256,
  waitingPerAccount: 128,
  waitMs: 10_000,
}

/** How long the body of a refused request may take to arrive, in milliseconds. */
const DISCARD_MS = 30_000

const releases = new WeakMap<FastifyRequest, () => void>()

/** Before the body of a pushed manifest is read: waits for its bytes' share of the budget, or refuses it. */
export async function reserveManifest(
  budget: ByteBudget,
  request: FastifyRequest<{ Querystring: { account?: string } }>,
  reply: FastifyReply,
): Promise<unknown> {
  // A body of unknown length may be as long as the limit. One that is longer is refused while it is read.
  const length = Math.min(Number(request.headers['content-length'] ?? Infinity), MAX_MANIFEST_BYTES)
  const release = once(await budget.take(request.query.account ?? '', length))
  if (release === undefined) {
    // Read and discarded: a client that is answered while it sends may see a reset instead of the response.
    request.raw.resume()
    await finished(request.raw, { signal: AbortSignal.timeout(DISCARD_MS) }).catch(() => undefined)
    const message = 'too many manifests are being pushed at once; retry in a second'
    return reply.send({ outcome: 'refused', code: 'TOOMANYREQUESTS', message })
  }
  // The client may have left while its request waited.
  if (request.raw.socket.destroyed) {
    release()
    return reply.hijack()
  }
  releases.set(request, release)
  // If the body is cut off or refused, no handler runs.
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

/** A function that does its work only the first time. */
function once(release: (() => void) | undefined): (() => void) | undefined {
  let isReleased = false
  return (
    release &&
    (() => {
      if (!isReleased) release()
      isReleased = true
    })
  )
}
