import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createMetrics } from '../src/metrics.ts'
import { createServer } from '../src/server.ts'

const app = createServer({ name: 'test', logLevel: 'silent', metrics: createMetrics('test') })
app.all('/*', async () => 'good')
await app.listen({ host: '127.0.0.1', port: 0 })
t.teardown(() => app.close())
const { port } = app.server.address() as AddressInfo

/** Sends a request with a body of 8 MiB; returns the response and how the connection ended. */
async function send(head: string) {
  // The server closes its side after the response; this client keeps sending.
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  await once(socket, 'connect')
  let received = ''
  let failure: string | undefined
  socket.on('data', (chunk) => (received += chunk.toString('latin1')))
  socket.on('error', (error: NodeJS.ErrnoException) => (failure = error.code))
  const closed = once(socket, 'close')
  socket.write(Buffer.from(`${head}\r\n\r\n`, 'latin1'))
  const part = Buffer.alloc(1 << 20, 'x')
  for (let sent = 0; sent < 8 && !socket.destroyed; sent += 1) {
    if (!socket.write(part)) await Promise.race([once(socket, 'drain'), closed, sleep(5000)])
  }
  socket.end()
  await closed
  return { received, failure }
}

const BODY = 'Host: x\r\nContent-Length: 8388608'

for (const [what, head, status] of [
  ['a malformed header', `PUT /user HTTP/1.1\r\nBad Header: x\r\n${BODY}`, 400],
  ['a malformed request line', `PUT /us er HTTP/1.1\r\n${BODY}`, 400],
  ['a target beyond ASCII', `PUT /us\xe9r HTTP/1.1\r\n${BODY}`, 400],
  ['an unknown version', `PUT /user HTTP/9.9\r\n${BODY}`, 400],
  ['a header of 64 KiB', `PUT /user HTTP/1.1\r\nLong: ${'x'.repeat(1 << 16)}\r\n${BODY}`, 431],
] as const) {
  t.test(`${what} before a large body gets ${status} without a reset of the connection`, async (t) => {
    const { received, failure } = await send(head)
    t.equal(failure, undefined)
    t.match(received, new RegExp(`^HTTP/1\\.1 ${status} `))
    t.match(received, /^connection: close\r$/im)
    t.match(received, /^content-type: application\/problem\+json\r$/im)
    t.match(JSON.parse(received.split('\r\n\r\n')[1] ?? ''), { status, detail: /./ })
    t.equal(received.split('HTTP/1.1').length, 2, 'one response')
  })
}

t.test('a malformed request to the registry API gets an error of that API', async (t) => {
  const { received } = await send(`PUT /v2/a/manifests/b HTTP/1.1\r\nBad Header: x\r\n${BODY}`)
  t.match(received, /^docker-distribution-api-version: registry\/2\.0\r$/im)
  t.match(JSON.parse(received.split('\r\n\r\n')[1] ?? ''), { errors: [{ code: 'UNSUPPORTED' }] })
})

t.test('the server serves other clients after malformed requests', async (t) => {
  t.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200)
})
