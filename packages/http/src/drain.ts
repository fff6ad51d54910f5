import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Server as NetServer } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'

/**
 * How long whoever keeps a connection for later keeps it, at most: the ingress 3 s (deploy/nginx), our own clients
 * less than `INTERNAL_KEEP_ALIVE_MS`. What is idle for longer than this has nobody who would use it again.
 */
const KEPT_IDLE_MS = 4000
/** Told to clients of an internal port, which close a connection a second before that. Milliseconds. */
export const INTERNAL_KEEP_ALIVE_MS = 3000
const LOOK_MS = 100

const leaving = new WeakSet<Server>()

/** From now on the server's `/readyz` says no. */
export function stopBeingReady(server: Server): void {
  leaving.add(server)
}

/** Whether a server is about to stop. */
export function isLeaving(server: Server): boolean {
  return leaving.has(server)
}

/**
 * Stops accepting connections and lets every request that is there, or that comes by a connection which is open,
 * end within the grace time; answers tell that no further request is welcome on theirs. Idle connections are left
 * to whoever keeps them, for a moment: a request that is on its way already must not meet one that closes.
 */
export async function drain(server: Server, graceMs: number): Promise<void> {
  if (!server.listening) return
  const sayGoodbye = (_request: IncomingMessage, response: ServerResponse) => {
    response.setHeader('connection', 'close')
  }
  server.prependListener('request', sayGoodbye)
  server.prependListener('checkContinue', sayGoodbye)
  // Right after a poll for events there are the fewest connections that the system took and that we did not yet.
  await nextTurn()
  const closed = once(server, 'close')
  // http.Server's own close would end idle connections at once.
  NetServer.prototype.close.call(server)
  const begun = Date.now()
  const look = setInterval(() => {
    const passed = Date.now() - begun
    if (passed >= graceMs) server.closeAllConnections()
    else if (passed >= KEPT_IDLE_MS) server.closeIdleConnections()
  }, LOOK_MS)
  await closed
  clearInterval(look)
}
