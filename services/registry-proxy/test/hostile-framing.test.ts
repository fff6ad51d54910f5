import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import { sendRaw, statusOf } from './fixtures/raw-connection.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, upstream, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push')])
const HEAD = `Host: registry.test\r\nAuthorization: ${authorization}\r\n`
const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
const smuggled = `DELETE /v2/other/app/manifests/latest HTTP/1.1\r\nHost: x\r\n\r\n`
const body = `5\r\nhello\r\n0\r\n\r\n`
const target = '/v2/team/app/manifests/latest'

/** Requests whose length two parsers could read differently. */
const REFUSED: readonly [string, string][] = [
  ['length and chunks', `Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${body}`],
  ['chunks and length', `Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n${body}`],
  ['two lengths', `Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`],
  ['a list of lengths', `Content-Length: 5, 5\r\n\r\nhello`],
  ['a signed length', `Content-Length: +5\r\n\r\nhello`],
  ['a negative length', `Content-Length: -5\r\n\r\nhello`],
  ['a length in hexadecimal', `Content-Length: 0x5\r\n\r\nhello`],
  ['a length with a space in its name', `Content-Length : 5\r\n\r\nhello`],
  ['an unknown coding', `Transfer-Encoding: xchunked\r\n\r\n${body}`],
  ['a coding after chunked', `Transfer-Encoding: chunked, identity\r\n\r\n${body}`],
  ['a folded coding', `Transfer-Encoding:\r\n chunked, x\r\n\r\n${body}`],
  ['a negative chunk size', `Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n`],
  ['a header without a name', `: x\r\nContent-Length: 5\r\n\r\nhello`],
  ['a bare line feed in a header', `X: a\nContent-Length: 5\r\n\r\nhello`],
  ['a bare carriage return in a header', `X: a\rContent-Length: 5\r\n\r\nhello`],
]

for (const [what, rest] of REFUSED) {
  t.test(`a request with ambiguous framing is 400: ${what}`, async (t) => {
    const received = await sendRaw(port, `PUT ${target} HTTP/1.1\r\n${HEAD}Connection: close\r\n${rest}`)
    t.equal(statusOf(received), 400)
    t.same(upstream.requests, [])
  })
}

/** Requests whose body is not forwarded. It must not be parsed as the next request either. */
const UNREAD: readonly [string, string, string][] = [
  ['a GET with a body', 'GET', target],
  ['a DELETE with a body', 'DELETE', `/v2/team/app/blobs/uploads/u1?_binding=${binding}`],
  ['a POST with a body', 'POST', '/v2/team/app/blobs/uploads/'],
  ['a HEAD with a body', 'HEAD', `/v2/team/app/blobs/${DIGEST}`],
]

for (const [what, method, path] of UNREAD) {
  for (const framing of ['length', 'chunks']) {
    t.test(`${what} by ${framing} reaches the registry once and without the body`, async (t) => {
      const framed =
        framing === 'length'
          ? `Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`
          : `Transfer-Encoding: chunked\r\n\r\n${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`
      const head = `Host: x\r\nAuthorization: ${authorization}\r\nConnection: close\r\n`
      const received = await sendRaw(port, `${method} ${path} HTTP/1.1\r\n${head}${framed}`)
      t.equal(statusOf(received), 200)
      const sent = upstream.only()
      upstream.requests.length = 0
      t.equal(sent.method, method)
      t.equal(sent.url, path.split('?')[0])
      t.equal(sent.body.length, 0, 'the registry gets no body')
      t.equal(sent.headers['transfer-encoding'], undefined)
      t.match(sent.headers['content-length'] ?? '0', '0')
    })
  }
}
