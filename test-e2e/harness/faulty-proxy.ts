import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Teardown } from './server-process.ts'

/**
 * The treatment of the bytes in both directions: forwarded; delayed by some milliseconds; dropped; or the connection is
 * reset.
 */
export type Fault = 'none' | { readonly delayMs: number } | 'black-hole' | 'reset'

export interface FaultyProxy {
  readonly host: string
  readonly port: number
  /** Applies immediately, also to open connections. */
  fault: Fault
  /** Number of connections that were opened so far. */
  readonly opened: number
  /** All bytes from clients. */
  readonly received: Buffer
  /** Closes the open connections. */
  cut(): void
}

/** Starts a TCP proxy in front of a server, on its own loopback port. */
export async function startFaultyProxy(
  scope: Teardown,
  target: { readonly host: string; readonly port: number },
  host = '127.0.0.1',
): Promise<FaultyProxy> {
  const open = new Set<Socket>()
  const received: Buffer[] = []
  let fault: Fault = 'none'
  let opened = 0
  const cut = () => {
    for (const socket of open) socket.resetAndDestroy()
  }
  const track = (socket: Socket) => {
    open.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
    socket.setNoDelay(true)
  }
  const forward = (from: Socket, to: Socket) => {
    from.on('data', async (bytes) => {
      if (fault === 'black-hole') return
      if (typeof fault === 'object') await sleep(fault.delayMs)
      if (!to.destroyed) to.write(bytes)
    })
    from.on('close', () => {
      if (fault !== 'black-hole') to.destroy()
    })
  }
  const server = createServer((client) => {
    opened += 1
    track(client)
    if (fault === 'reset') return client.resetAndDestroy()
    const upstream = connect(target)
    track(upstream)
    client.on('data', (bytes: Buffer) => received.push(bytes))
    forward(client, upstream)
    return forward(upstream, client)
  })
  await once(server.listen(0, host), 'listening')
  scope.teardown(async () => {
    server.close()
    cut()
    await once(server, 'close')
  })
  return {
    host,
    port: (server.address() as AddressInfo).port,
    get fault() {
      return fault
    },
    set fault(next) {
      fault = next
      if (fault === 'reset') cut()
    },
    get opened() {
      return opened
    },
    get received() {
      return Buffer.concat(received)
    },
    cut,
  }
}
