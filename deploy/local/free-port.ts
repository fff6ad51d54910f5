import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import getPort from 'get-port'

/** Random ports below those that systems hand out by themselves. Source: Linux' ip_local_port_range, from 32768. */
const candidates = () => Array.from({ length: 100 }, () => randomInt(10_000, 32_000))

/**
 * Returns a free port. The system never assigns it to an outgoing connection, so that a process can listen on it later,
 * and again after a restart. Concurrent launchers rarely meet, because the port is random.
 */
export function freePort(): Promise<number> {
  return getPort({ port: candidates(), reserve: true })
}

/**
 * Throws if a port cannot be listened on: one line that names the setting of the port, or the system's error.
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
