import { once } from 'node:events'
import type { LookupFunction, Socket } from 'node:net'
import { connect, isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Client } from 'ldapts'

export interface DirectoryServer {
  /** As configured, for logs. */
  readonly url: string
  readonly host: string
  readonly port: number
  /** Whether the connection begins with TLS (`ldaps://`). */
  readonly tls: boolean
}

export interface DirectoryTransport {
  /** Whether connections without TLS are upgraded (StartTLS). */
  readonly startTls: boolean
  /** Trusted CA certificates in PEM form; Node's own when absent. */
  readonly ca: string | undefined
  readonly lookup: LookupFunction
}

/** Timeout of an LDAP operation, in milliseconds. */
const OPERATION_MS = 3000
/** Source: RFC 4511 §4.14.1. */
const START_TLS = '1.3.6.1.4.1.1466.20037'

/**
 * Connects, with TLS if configured, within one timeout for all steps. The server's certificate is always verified,
 * also with NODE_TLS_REJECT_UNAUTHORIZED=0.
 */
export async function openDirectorySocket(
  { host, port, tls }: DirectoryServer,
  { startTls, ca, lookup }: DirectoryTransport,
  timeoutMs: number,
): Promise<Socket> {
  const signal = AbortSignal.timeout(timeoutMs)
  const plain = connect({ host, port, lookup, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 })
  // `once` reports errors while it waits. Later errors close the connection, which the pool notices.
  plain.on('error', () => {})
  try {
    await once(plain, 'connect', { signal })
    if (!tls && startTls) await requestStartTls(plain, signal)
    if (!tls && !startTls) return plain
    const servername = isIP(host) === 0 ? host : undefined
    const secured = connectTls({
      socket: plain,
      host,
      servername,
      ca,
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
    })
    secured.on('error', () => {})
    await once(secured, 'secureConnect', { signal })
    return secured
  } catch (error) {
    plain.destroy()
    throw signal.aborted ? new Error(`no connection within ${timeoutMs} ms`, { cause: error }) : error
  }
}

/**
 * A client of one open connection. It must not reconnect: ldapts would do so without StartTLS and without a bind.
 */
export function createDirectoryClient(socket: Socket): Client {
  let given = false
  const give = () => {
    if (given || socket.readyState !== 'open') throw new Error('the connection is closed')
    given = true
    return socket
  }
  return new Client({ url: 'ldap://directory', timeout: OPERATION_MS, createConnection: give })
}

/** Shares concurrent DNS lookups of a name: each one occupies a thread of Node's small thread pool. */
export function createSharedLookup(resolve: LookupFunction): LookupFunction {
  const waiting = new Map<string, Parameters<LookupFunction>[2][]>()
  return (hostname, options, callback) => {
    const key = JSON.stringify([hostname, options])
    const others = waiting.get(key)
    if (others !== undefined) {
      others.push(callback)
      return
    }
    const callbacks = [callback]
    waiting.set(key, callbacks)
    resolve(hostname, options, (...answer) => {
      waiting.delete(key)
      for (const call of callbacks) call(...answer)
    })
  }
}

/**
 * Requests StartTLS on a plain connection. The client is not used for anything else, so that bytes that an attacker
 * injects before the TLS handshake are dropped with it.
 */
async function requestStartTls(socket: Socket, signal: AbortSignal): Promise<void> {
  const destroy = () => socket.destroy()
  signal.addEventListener('abort', destroy)
  try {
    await createDirectoryClient(socket).exop(START_TLS)
  } finally {
    signal.removeEventListener('abort', destroy)
    socket.removeAllListeners('data')
  }
}
