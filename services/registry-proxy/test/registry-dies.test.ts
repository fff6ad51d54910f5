import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { sendRequest } from './fixtures/send-request.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import { sendRaw, statusOf } from './fixtures/raw-connection.ts'
import type { Respond } from './fixtures/recording-upstream.ts'
import { respondOk } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, upstream, bearer } = await startProxy(t)
const access = [repositoryAccess('team/app', 'pull', 'push')]
const authorization = bearer(access)
const blob = `/v2/team/app/blobs/${DIGEST}`
const get = () =>
  sendRaw(
    port,
    `GET ${blob} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: ${authorization}\r\n\r\n`,
  )

t.test('the client notices that the registry dies within a response with Content-Length', async (t) => {
  upstream.respond = (_request, response) => {
    response.writeHead(200, { 'content-length': 1000 })
    response.write('some of it', () => response.destroy())
  }
  const received = await get()
  t.equal(statusOf(received), 200)
  t.match(received, /^content-length: 1000\r$/im)
  t.ok(received.endsWith('some of it'))
})

t.test('the client notices that the registry dies within a chunked response', async (t) => {
  upstream.respond = (_request, response) => void response.write('some of it', () => response.destroy())
  const received = await get()
  t.match(received, /some of it\r\n$/)
  t.notMatch(received, /\r\n0\r\n/)
})

t.test('a registry that dies before its response is 503 without a retry', async (t) => {
  upstream.requests.length = 0
  upstream.respond = (_request, response) => response.destroy()
  const response = await sendRequest(port, blob, { authorization })
  t.equal(response.status, 503)
  t.equal(response.code, 'UNAVAILABLE')
  t.match(response.headers['retry-after'], /^[1-9]\d*$/)
  t.equal(upstream.requests.length, 1)
})

const NO_HTTP: readonly [string, string][] = [
  ['another protocol than HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['no bytes', ''],
  ['an invalid status', 'HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nhi'],
  ['a control character in a header', 'HTTP/1.1 200 OK\r\nETag: a\x01b\r\nContent-Length: 2\r\n\r\nhi'],
  ['a protocol switch', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'],
  [
    'length and chunks',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
]

t.test('responses that are not valid HTTP are 503', async (t) => {
  let received = ''
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => socket.end(received))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => void server.close())
  const registryUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const other = await startProxy(t, { registryUrl })
  for (const [what, bytes] of NO_HTTP) {
    t.test(`${what} in place of a response is 503`, async (t) => {
      received = bytes
      const response = await sendRequest(other.port, blob, { authorization: other.bearer(access) })
      t.equal(response.status, 503)
      t.equal(response.code, 'UNAVAILABLE')
    })
  }
})

const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
const upload = `/v2/team/app/blobs/uploads/u1?_binding=${binding}`
const put = (body: Buffer) =>
  sendRequest(port, `${upload}&digest=${DIGEST}`, {
    method: 'PUT',
    authorization,
    body,
  })
const afterSome = (incoming: IncomingMessage) => once(incoming, 'data')

for (const mib of [1, 32]) {
  t.test(`a registry that dies within an upload of ${mib} MiB is 503`, async (t) => {
    upstream.respond = async (incoming, response) => {
      await afterSome(incoming)
      response.destroy()
    }
    const response = await put(Buffer.alloc(mib << 20))
    t.equal(response.status, 503)
    t.equal(response.code, 'UNAVAILABLE')
  })
}

const refusal = '{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}'

/** How a server may respond before it has received the whole body. */
const MANNERS: Readonly<Record<string, Respond>> = {
  'discards the rest': async (incoming, response) => {
    await afterSome(incoming)
    response.writeHead(404, { 'content-length': refusal.length }).end(refusal)
    incoming.resume()
  },
  // Go's server, and therefore distribution, closes its side first and the connection half a second later.
  'reads no more and closes its side': async (incoming) => {
    await afterSome(incoming)
    incoming.pause()
    const head = `HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: ${refusal.length}`
    incoming.socket.end(`${head}\r\n\r\n${refusal}`)
    setTimeout(() => incoming.socket.destroy(), 500).unref()
  },
}

for (const [manner, respond] of Object.entries(MANNERS)) {
  for (const mib of [1, 32]) {
    t.test(`the client gets the refusal of ${mib} MiB by a registry that ${manner}`, async (t) => {
      upstream.respond = respond
      const response = await sendRequest(port, upload, {
        method: 'PATCH',
        authorization,
        body: Buffer.alloc(mib << 20),
      })
      t.equal(response.status, 404)
      t.equal(response.code, 'BLOB_UPLOAD_UNKNOWN')
    })
  }
}

t.test('the proxy still works after failures of the registry', async (t) => {
  upstream.respond = respondOk
  t.equal((await sendRequest(port, blob, { authorization })).status, 200)
})
