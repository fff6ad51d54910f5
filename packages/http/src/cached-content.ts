import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

/**
 * nginx sets this header to the number of seconds for which it may still send deleted content from its cache. A client
 * cannot set it, because nginx does.
 */
const CACHED_SECONDS = 'x-content-cached'

/** A larger value is ignored: it cannot come from nginx. */
const MAX_SECONDS = 5

/**
 * Delays the response to a deletion until no cache of nginx sends the deleted content. A client that gets the response
 * knows that the content cannot be read any more.
 */
export function waitForCaches(app: FastifyInstance): void {
  app.addHook('onSend', async ({ method, headers }, reply) => {
    const seconds = Number(headers[CACHED_SECONDS] ?? 0)
    if (method !== 'DELETE' || reply.statusCode >= 300) return
    if (seconds > 0 && seconds <= MAX_SECONDS) await sleep(seconds * 1000)
  })
}
