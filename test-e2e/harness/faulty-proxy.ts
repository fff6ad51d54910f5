import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ending } from './beside.ts'

/**
 * The treatment of the bytes in both directions: forwarded; delayed by some milliseconds; dropped; or the connection is
 * reset.
 */
export type Fault = 'none' | { readonly lateMs: number } | 'black-hole' | 'reset'

export interface FaultyProxy {
  readonly host: string
  readonly port: number
  /** Applies immediately, also to open connections. */
  fault: Fault
  /** Number of connections that were opened so far. */
  readonly opened: number
  /** All bytes from clients. */
  readonly heard: Buffer
  /** Closes the open connections. */
  cut(): void
}

/** Starts a TCP proxy in front of a server, on its own loopback port. */
export async function startFaultyProxy(
  ending: Ending,
  target: { readonly host: string; readonly port: number },
  host = '127.0.0.1',
): Promise<FaultyProxy> {
  const open = new Set<Socket>()
  const heard: Buffer[] = []
  let fault: Fault = 'none'
  let opened = 0
  const cut = () => {
    for (const socket of open) socket.resetAndDestroy()
  }
  const keep = (socket: Socket) => {
    open.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
    socket.setNoDelay(true)
  }
  const forward = (from: Socket, to: Socket) => {
    from.on('data', async (bytes) => {
      if (fault === 'black-hole') return
      if (typeof fault === 'object') await sleep(fault.lateMs)
      if (!to.destroyed) to.write(bytes)
    })
    from.on('close', () => {
      if (fault !== 'black-hole') to.destroy()
    })
  }
  const server = createServer((client) => {
    opened += 1
    keep(client)
    if (fault === 'reset') return client.resetAndDestroy()
    const upstream = connect(target)
    keep(upstream)
    client.on('data', (bytes: Buffer) => heard.push(bytes))
    forward(client, upstream)
    return forward(upstream, client)
  })
  await once(server.listen(0, host), 'listening')
  ending.teardown(async () => {
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
    get heard() {
      return Buffer.concat(heard)
    },
    cut,
  }
}
