import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import getPort from 'get-port'

/**
 * Ports are handed out from blocks below those that systems assign by themselves. Source: Linux' ip_local_port_range,
 * from 32768.
 */
const [FIRST_PORT, BLOCKS, BLOCK_SIZE] = [10_000, 200, 110]

/** The first port of the block that this process holds. */
let block: Promise<number> | undefined

/**
 * Returns a free port. The system never assigns it to an outgoing connection, so that a process can listen on it later,
 * and again after a restart. A process takes its ports from a block that no other process of ours uses, because a port
 * is chosen some time before a program listens on it.
 */
export async function freePort(): Promise<number> {
  const current = (block ??= holdBlock())
  const first = await current
  const candidates = Array.from({ length: BLOCK_SIZE - 1 }, (_, index) => first + 1 + index)
  const port = await getPort({ port: candidates, reserve: true })
  if (candidates.includes(port)) return port
  // All ports of the block are used. A concurrent caller may have noticed before.
  if (block === current) block = holdBlock()
  return freePort()
}

/** Holds a random block until this process ends, by listening on its first port. */
async function holdBlock(): Promise<number> {
  for (let attempt = 0; attempt < BLOCKS; attempt += 1) {
    const first = FIRST_PORT + randomInt(BLOCKS) * BLOCK_SIZE
    const server = createServer((socket) => socket.destroy()).unref()
    const isHeld = await once(server.listen(first, '127.0.0.1'), 'listening').then(
      () => true,
      () => false,
    )
    if (isHeld) return first
  }
  throw new Error(`no block of ports is free between ${FIRST_PORT} and ${FIRST_PORT + BLOCKS * BLOCK_SIZE}`)
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
