import { finished } from 'node:stream/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { ByteBudget } from '@registry-manager/http'
import { requestPrincipalOf } from '@registry-manager/http'
import type { FastifyReply, FastifyRequest } from 'fastify'

/**
 * The limit for the bodies of announcements, above the longest manifest: registry-proxy refuses manifests above 4 MiB,
 * the limit of distribution, with an error for the client.
 */
export const MAX_ANNOUNCEMENT_BYTES = 5 * 1024 * 1024
/**
 * The bytes of manifests that a process handles at once. Handling a manifest takes up to ten times its length in
 * memory. The limit per account keeps one account that pushes many manifests from blocking the others. A request waits
 * before its body is read, which costs no memory, and for less time than registry-proxy waits for the response.
 */
export const MANIFEST_BUDGET = {
  total: 6 * 1024 * 1024,
  perAccount: 5 * 1024 * 1024,
  waiting: 256,
  waitingPerAccount: 128,
  waitMs: 10_000,
}

/** Manifests of this length are rare: real ones have a few KiB. Each leaves about ten times its length as garbage. */
const LARGE_BYTES = 2 * 1024 * 1024

setFlagsFromString('--expose-gc')
/**
 * Collects garbage, in about 50 ms. V8 would let the garbage of several large manifests add up: it counts their bytes
 * against the heap's limit only in part.
 */
const collectGarbage = runInNewContext('gc') as () => void

/** Time limit for the body of a refused request to arrive, in milliseconds. */
const DISCARD_MS = 30_000

const releases = new WeakMap<FastifyRequest, () => void>()

/** Reserves the bytes of a pushed manifest in the budget before its body is read, or refuses the request. */
export async function reserveManifest(
  budget: ByteBudget,
  request: FastifyRequest<{ Querystring: { account?: string } }>,
  reply: FastifyReply,
): Promise<unknown> {
  // A body of unknown length reserves the limit. Fastify refuses a longer body while reading it.
  const length = Math.min(Number(request.headers['content-length'] ?? Infinity), MAX_ANNOUNCEMENT_BYTES)
  // The previous version of registry-proxy sends the account, and no context.
  const account = requestPrincipalOf(request)?.id ?? request.query.account ?? ''
  const release = once(await budget.take(account, length))
  if (release === undefined) {
    // The body is read and discarded: a client that gets a response while it sends may see a reset instead.
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
  if (length >= LARGE_BYTES) collectGarbage()
  // No handler runs if the body is cut off or refused.
  reply.raw.once('close', () => {
    if (releases.has(request)) release()
  })
  return undefined
}

/** Runs the work on a manifest whose bytes were reserved, and releases them afterwards, even if the client left. */
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

/** A function that has an effect only on its first call. */
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
