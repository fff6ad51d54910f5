import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import type { Ingress } from './fixtures/ingress.ts'
import { startIngress } from './fixtures/ingress.ts'

const DEADLINE_MS = 10_000

/** Connections that stay open for writing after the server has closed its side. */
const WAYS: Record<string, (ingress: Ingress) => Socket> = {
  'plain HTTP': ({ plainPort }) => connect({ port: plainPort, host: '127.0.0.1', allowHalfOpen: true }),
  TLS: ({ httpsPort, ca }) =>
    connectTls({
      socket: connect({ port: httpsPort, host: '127.0.0.1', allowHalfOpen: true }),
      ca,
      servername: 'localhost',
    }),
}

/**
 * Sends one request with `Connection: close`, reads until the server closes, and then sends more bytes, as a TLS
 * client does with its own close_notify. Returns the error of the connection, if there was one.
 */
async function sendAfterClose(socket: Socket): Promise<string | undefined> {
  let error: string | undefined
  socket.on('error', (reason: NodeJS.ErrnoException) => (error = reason.code))
  socket.write('GET /user HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  socket.resume()
  await once(socket, 'end', { signal: AbortSignal.timeout(DEADLINE_MS) })
  // A closed socket answers the first bytes with a reset, which the next write meets.
  for (let turn = 0; turn < 3; turn += 1) {
    socket.write('late')
    await sleep(200)
  }
  socket.destroy()
  return error
}

t.test('nginx does not reset a client that sent Connection: close and is still sending', async (t) => {
  const ingress = await startIngress(t)
  for (const [way, open] of Object.entries(WAYS)) {
    t.equal(await sendAfterClose(open(ingress)), undefined, way)
  }
})

t.test(
  'without lingering_close, nginx resets a client that sent Connection: close and is still sending',
  async (t) => {
    const edit = (config: string) => config.replace('lingering_close always;', 'lingering_close off;')
    const ingress = await startIngress(t, { edit })
    t.match(await sendAfterClose(WAYS['plain HTTP']!(ingress)), /ECONNRESET|EPIPE/)
  },
)

t.test(
  'nginx gives up a layer after a minute without a byte from the registry, but not the closing of an upload',
  async (t) => {
    const silent: RequestListener = (request) => void request.resume()
    // One minute of the configuration is one second here.
    const edit = (config: string) =>
      config.replaceAll(
        /proxy_read_timeout (\d+)s/g,
        (_, seconds: string) => `proxy_read_timeout ${Math.floor(Number(seconds) / 60)}s`,
      )
    const services = { 'registry-proxy': [silent], registry: [silent] }
    const ingress = await startIngress(t, { edit, services })
    const statusOf = (method: string, path: string) => {
      const socket = connect(ingress.plainPort, '127.0.0.1')
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
      const first = once(socket, 'data').then(([chunk]) => String(chunk).slice(9, 12))
      return Promise.race([first, sleep(4000, 'waiting')]).finally(() => socket.destroy())
    }
    const digest = `sha256:${'a'.repeat(64)}`
    const [layer, upload] = await Promise.all([
      statusOf('GET', `/v2/team/app/blobs/${digest}`),
      statusOf('PUT', `/v2/team/app/blobs/uploads/u1?digest=${digest}`),
    ])
    t.equal(layer, '504')
    t.equal(upload, 'waiting')
  },
)
