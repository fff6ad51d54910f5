import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Server as NetServer } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'

/**
 * A connection that is idle for this long can be closed safely, because no client uses it again: nginx closes its idle
 * connections after 3 s (deploy/nginx), our own clients after less than `INTERNAL_KEEP_ALIVE_MS`.
 */
const MAX_IDLE_MS = 4000
/** Keep-alive timeout of internal ports; our clients close idle connections one second earlier. Milliseconds. */
export const INTERNAL_KEEP_ALIVE_MS = 3000
const CHECK_MS = 100

const stopping = new WeakSet<Server>()

/** Makes the server's `/readyz` respond 503 from now on. */
export function stopBeingReady(server: Server): void {
  stopping.add(server)
}

/** Whether `stopBeingReady` was called for a server. */
export function isStopping(server: Server): boolean {
  return stopping.has(server)
}

/**
 * Stops accepting connections. Requests that are open, or that arrive on an open connection, get the grace time to
 * finish; their responses have `Connection: close`. Idle connections stay open for a moment: closing one at once would
 * break a request that is already in transit.
 */
export async function drain(server: Server, graceMs: number): Promise<void> {
  if (!server.listening) return
  const askToClose = (_request: IncomingMessage, response: ServerResponse) => {
    response.setHeader('connection', 'close')
  }
  server.prependListener('request', askToClose)
  server.prependListener('checkContinue', askToClose)
  // Right after the poll phase Node has accepted the waiting connections. Closing now loses the fewest connections that
  // only the kernel has accepted.
  await nextTurn()
  const closed = once(server, 'close')
  // Not http.Server's own close(), which closes idle connections at once.
  NetServer.prototype.close.call(server)
  const startedAt = Date.now()
  const check = setInterval(() => {
    const passed = Date.now() - startedAt
    if (passed >= graceMs) server.closeAllConnections()
    else if (passed >= MAX_IDLE_MS) server.closeIdleConnections()
  }, CHECK_MS)
  await closed
  clearInterval(check)
}
