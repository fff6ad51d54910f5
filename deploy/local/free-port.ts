import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

const given = new Set<number>()

/**
 * A loopback port that nobody listens on, that was not answered before, and that the system gives to nobody by itself:
 * it can be listened on later, and again after a restart. Source: Linux' ip_local_port_range, from 32768; IANA's, from
 * 49152.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000)
    const isFree =
      !given.has(port) &&
      (await ensureFree('127.0.0.1', port)
        .then(() => true)
        .catch(() => false))
    given.add(port)
    if (isFree) return port
  }
}

/**
 * Throws where a port cannot be listened on: the system's error, or, given the name of the setting that the port comes
 * from, one line that names it.
 */
export async function ensureFree(host: string, port: number, setting?: string): Promise<void> {
  const server = createServer().listen(port, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (setting !== undefined && code === 'EADDRINUSE') {
      throw new Error(`port ${port} on ${host} is in use: free it, or set ${setting} to another port`, {
        cause: error,
      })
    }
    if (setting !== undefined && (code === 'ENOTFOUND' || code === 'EAI_AGAIN')) {
      throw new Error(`HOST is ${host}, which cannot be resolved: set it to an address of this machine`, {
        cause: error,
      })
    }
    throw error
  }
  server.close()
  await once(server, 'close')
}
