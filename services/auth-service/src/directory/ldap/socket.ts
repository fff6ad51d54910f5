import { once } from 'node:events'
import type { LookupFunction, Socket } from 'node:net'
import { connect, isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Client } from 'ldapts'

export interface DirectoryServer {
  /** As it was configured, for people to read. */
  readonly url: string
  readonly host: string
  readonly port: number
  /** Whether TLS comes first, as with `ldaps://`. */
  readonly tls: boolean
}

export interface DirectoryTransport {
  /** Whether connections without TLS are upgraded. */
  readonly startTls: boolean
  /** Certificates that are trusted, PEM; those that Node trusts when absent. */
  readonly ca: string | undefined
  readonly lookup: LookupFunction
}

/** The longest that an operation may take, in milliseconds. */
const OPERATION_MS = 3000
/** Source: RFC 4511 §4.14.1. */
const START_TLS = '1.3.6.1.4.1.1466.20037'

/**
 * Connects, with TLS where it is wanted, within so many milliseconds for all of it. The server's certificate is
 * verified whatever the environment says. Throws when any of it fails.
 */
export async function openDirectorySocket(
  { host, port, tls }: DirectoryServer,
  { startTls, ca, lookup }: DirectoryTransport,
  timeoutMs: number,
): Promise<Socket> {
  const signal = AbortSignal.timeout(timeoutMs)
  const plain = connect({ host, port, lookup, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 })
  // Whoever waits hears of errors; when nobody does, they end with the connection.
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
 * A client of an open connection, and of no other: one that connected anew by itself would do so without TLS, and
 * unbound.
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

/** Names are looked up by threads, of which there are few: never by more than one for the same name. */
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
 * Asks for TLS on a plain connection. The client that asks is used for nothing else: bytes that somebody slips in
 * behind the answer, before TLS begins, end with it.
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
