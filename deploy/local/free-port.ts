import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** A loopback port that nobody listens on just now. */
export async function freePort(): Promise<number> {
  return takePort(0)
}

/**
 * A loopback port that nobody listens on, and that no outgoing connection will be given either: it can be listened
 * on again after a restart. Source: Linux' ip_local_port_range, from 32768; IANA's, from 49152.
 */
export async function lastingPort(): Promise<number> {
  for (;;) {
    const port = await takePort(randomInt(20_000, 32_000)).catch(() => undefined)
    if (port !== undefined) return port
  }
}

/** Throws the error that listening on an address would end in. */
export async function ensureFree(host: string, port: number): Promise<void> {
  await takePort(port, host)
}

async function takePort(wanted: number, host = '127.0.0.1'): Promise<number> {
  const server = createServer().listen(wanted, host)
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
