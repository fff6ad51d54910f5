import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** A loopback port that nobody listens on just now. */
export async function freePort(): Promise<number> {
  return takePort(0)
}

const given = new Set<number>()

/**
 * A loopback port that nobody listens on, that was not answered before, and that no outgoing connection will be given either: it can be listened
 * on again after a restart. Source: Linux' ip_local_port_range, from 32768; IANA's, from 49152.
 */
export async function lastingPort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000)
    const isTaken = given.has(port) || (await takePort(port).catch(() => undefined)) === undefined
    given.add(port)
    if (!isTaken) return port
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
