import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { ask } from './fixtures/ask.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import { sendRaw, statusOf } from './fixtures/raw-connection.ts'
import type { Answer } from './fixtures/recording-upstream.ts'
import { answerOk } from './fixtures/recording-upstream.ts'
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

t.test('in the middle of an answer by length: the client is short of bytes', async (t) => {
  upstream.answer = (_request, response) => {
    response.writeHead(200, { 'content-length': 1000 })
    response.write('some of it', () => response.destroy())
  }
  const received = await get()
  t.equal(statusOf(received), 200)
  t.match(received, /^content-length: 1000\r$/im)
  t.ok(received.endsWith('some of it'))
})

t.test('in the middle of an answer in chunks: the client never sees its end', async (t) => {
  upstream.answer = (_request, response) => void response.write('some of it', () => response.destroy())
  const received = await get()
  t.match(received, /some of it\r\n$/)
  t.notMatch(received, /\r\n0\r\n/)
})

t.test('before it has answered: 503, asked once', async (t) => {
  upstream.requests.length = 0
  upstream.answer = (_request, response) => response.destroy()
  const answer = await ask(port, blob, { authorization })
  t.equal(answer.status, 503)
  t.equal(answer.code, 'UNAVAILABLE')
  t.match(answer.headers['retry-after'], /^[1-9]\d*$/)
  t.equal(upstream.requests.length, 1)
})

const NO_HTTP: readonly [string, string][] = [
  ['no HTTP at all', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['nothing', ''],
  ['a status that is none', 'HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nhi'],
  ['a control character in a header', 'HTTP/1.1 200 OK\r\nETag: a\x01b\r\nContent-Length: 2\r\n\r\nhi'],
  ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'],
  [
    'length and chunks',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
]

t.test('what answers is no registry', async (t) => {
  let answered = ''
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => socket.end(answered))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => void server.close())
  const registryUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const other = await startProxy(t, { registryUrl })
  for (const [what, bytes] of NO_HTTP) {
    t.test(`${what}: 503`, async (t) => {
      answered = bytes
      const answer = await ask(other.port, blob, { authorization: other.bearer(access) })
      t.equal(answer.status, 503)
      t.equal(answer.code, 'UNAVAILABLE')
    })
  }
})

const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
const upload = `/v2/team/app/blobs/uploads/u1?_binding=${binding}`
const put = (body: Buffer) =>
  ask(port, `${upload}&digest=${DIGEST}`, {
    method: 'PUT',
    authorization,
    body,
  })
const afterSome = (incoming: IncomingMessage) => once(incoming, 'data')

for (const mib of [1, 32]) {
  t.test(`in the middle of an upload of ${mib} MiB: the client is told`, async (t) => {
    upstream.answer = async (incoming, response) => {
      await afterSome(incoming)
      response.destroy()
    }
    const answer = await put(Buffer.alloc(mib << 20))
    t.equal(answer.status, 503)
    t.equal(answer.code, 'UNAVAILABLE')
  })
}

const refusal = '{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}'

/** How a server may answer before it has all of a body. */
const MANNERS: Readonly<Record<string, Answer>> = {
  'reads the rest, and throws it away': async (incoming, response) => {
    await afterSome(incoming)
    response.writeHead(404, { 'content-length': refusal.length }).end(refusal)
    incoming.resume()
  },
  // As Go's does, and so distribution: it closes its side, and the whole half a second later.
  'reads no more, and closes its side': async (incoming) => {
    await afterSome(incoming)
    incoming.pause()
    const head = `HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: ${refusal.length}`
    incoming.socket.end(`${head}\r\n\r\n${refusal}`)
    setTimeout(() => incoming.socket.destroy(), 500).unref()
  },
}

for (const [manner, answer] of Object.entries(MANNERS)) {
  for (const mib of [1, 32]) {
    t.test(`a registry that ${manner} gets its refusal of ${mib} MiB to the client`, async (t) => {
      upstream.answer = answer
      const answered = await ask(port, upload, {
        method: 'PATCH',
        authorization,
        body: Buffer.alloc(mib << 20),
      })
      t.equal(answered.status, 404)
      t.equal(answered.code, 'BLOB_UPLOAD_UNKNOWN')
    })
  }
}

t.test('the proxy lives on after all that', async (t) => {
  upstream.answer = answerOk
  t.equal((await ask(port, blob, { authorization })).status, 200)
})
