import { once } from 'node:events'
import { connect } from 'node:net'

/** One buffer for all connections: each chunk is processed before the next read. */
const READ_BUFFER = Buffer.allocUnsafe(256 * 1024)
/** The longest silence of a connection during a response. */
const SILENCE_MS = 30_000

export interface ResponseSummary {
  readonly status: number
  /** Length of the body. */
  readonly bytes: number
}

export interface Connection {
  /** Sends a request and reads the whole response. The chunk is valid only until `onBody` returns. */
  send(
    method: 'GET' | 'HEAD',
    path: string,
    headers: Readonly<Record<string, string>>,
    onBody?: (chunk: Buffer) => void,
  ): Promise<ResponseSummary>
  close(): void
}

interface Pending {
  readonly method: 'GET' | 'HEAD'
  readonly resolve: (response: ResponseSummary) => void
  readonly reject: (error: Error) => void
  readonly onBody: ((chunk: Buffer) => void) | undefined
  head: Buffer
  status: number
  bytes: number
  /** Bytes of the body that are still missing; undefined before the head is complete. */
  left: number | undefined
}

/**
 * Opens a persistent connection for one request at a time. It reuses one read buffer, so the client needs little CPU
 * time and the measurement shows the server. Responses must have a Content-Length.
 */
export async function openConnection(origin: string): Promise<Connection> {
  const { hostname, port, host } = new URL(origin)
  let pending: Pending | undefined
  const fail = (error: Error) => {
    pending?.reject(error)
    pending = undefined
    socket.destroy()
  }
  const hear = (chunk: Buffer) => {
    if (pending === undefined) return fail(new Error('received a response without a request'))
    const body = pending.left === undefined ? readHead(pending, chunk) : chunk
    if (body instanceof Error) return fail(body)
    if (pending.left === undefined) return
    pending.left -= body.length
    pending.bytes += body.length
    if (body.length > 0) pending.onBody?.(body)
    if (pending.left > 0) return
    const { resolve, status, bytes } = pending
    pending = undefined
    resolve({ status, bytes })
  }
  const onread = {
    buffer: READ_BUFFER,
    callback: (length: number) => {
      hear(READ_BUFFER.subarray(0, length))
      return true
    },
  }
  const socket = connect({ host: hostname, port: Number(port), noDelay: true, onread })
  socket.on('error', fail)
  socket.on('close', () => fail(new Error('the server closed the connection')))
  socket.setTimeout(SILENCE_MS, () => {
    if (pending !== undefined) fail(new Error(`received nothing for ${SILENCE_MS / 1000} s`))
  })
  await once(socket, 'connect')

  return {
    send: (method, path, headers, onBody) =>
      new Promise((resolve, reject) => {
        if (socket.destroyed) return reject(new Error('the connection is closed'))
        const head = Buffer.alloc(0)
        pending = { method, resolve, reject, onBody, head, status: 0, bytes: 0, left: undefined }
        const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
        return socket.write(`${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n${lines.join('')}\r\n`)
      }),
    close: () => socket.destroy(),
  }
}

/** Reads the head of a response. Returns the rest of the chunk, which belongs to the body. */
function readHead(pending: Pending, chunk: Buffer): Buffer | Error {
  const read = Buffer.concat([pending.head, chunk])
  const end = read.indexOf('\r\n\r\n')
  if (end === -1) {
    pending.head = read
    return Buffer.alloc(0)
  }
  const head = read.toString('latin1', 0, end)
  pending.status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1])
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  if (length === undefined) return new Error(`a response without Content-Length: ${head.split('\r\n', 1)[0]}`)
  // The response to HEAD has the length of the body, but no body. Source: RFC 9110 §9.3.2.
  pending.left = pending.method === 'HEAD' ? 0 : Number(length)
  return read.subarray(end + 4)
}
