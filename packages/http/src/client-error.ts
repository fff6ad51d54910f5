import type { Duplex } from 'node:stream'
import { STATUS_CODES } from 'node:http'
import { formatRegistryError } from '@registry-manager/oci'

/** Time for a client that is still sending to read the response, in milliseconds. */
const LINGER_MS = 2000

const responded = new WeakSet<Duplex>()

/**
 * Responds to input that Node's parser refuses, as a listener of `clientError`. Closes the sending side after the
 * response and discards further input for a moment. Destroying the socket at once would reset the connection while a
 * body is in transit, and a proxy in front would report 502 instead of this response.
 * Source: RFC 9112 §9.6; Node's http.Server, Event 'clientError'.
 */
export function respondToClientError(
  error: Error & { code?: string; rawPacket?: unknown },
  socket: Duplex,
): void {
  // Node's parser reports an error for every further piece of input, too. Only the first one gets a response.
  if (responded.has(socket)) return
  responded.add(socket)
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const [status, detail] = STATUS_OF.get(error.code ?? '') ?? [400, 'the request is malformed']
  const isRegistry = isForRegistry(error.rawPacket)
  const body = isRegistry ? toRegistryError(status, detail) : toProblem(status, detail)
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `Content-Type: application/${isRegistry ? 'json' : 'problem+json'}`,
    ...(isRegistry ? ['Docker-Distribution-Api-Version: registry/2.0'] : []),
    `Content-Length: ${Buffer.byteLength(body)}`,
    'X-Content-Type-Options: nosniff',
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
}

/** Whether bytes are the start of a request to the registry API, which has its own error format. */
function isForRegistry(bytes: unknown): boolean {
  return Buffer.isBuffer(bytes) && /^\S+ \/v2(?:[/?\s]|$)/.test(bytes.subarray(0, 64).toString('latin1'))
}

/** Status and detail by Node's error code. */
const STATUS_OF: ReadonlyMap<string, readonly [status: number, detail: string]> = new Map([
  ['ERR_HTTP_REQUEST_TIMEOUT', [408, 'the request did not arrive in time']],
  ['HPE_HEADER_OVERFLOW', [431, 'the headers are too long']],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', [413, 'the chunk extensions are too long']],
])

function toRegistryError(status: number, message: string): string {
  return JSON.stringify(formatRegistryError({ code: 'UNSUPPORTED', status, message }).body)
}

function toProblem(status: number, detail: string): string {
  return JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail })
}
