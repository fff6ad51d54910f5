import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { startProxy } from './fixtures/proxy.ts'
import { respondWith, digestOf } from './fixtures/recording-upstream.ts'

const blob = `/v2/team/app/blobs/${digestOf('0123456789')}`

const { port, upstream, bearer, log } = await startProxy(t, { storageOrigins: ['https://storage.test'] })
const authorization = bearer([repositoryAccess('team/app', 'pull')])

t.test('a range of a blob is forwarded', async (t) => {
  upstream.respond = respondWith(206, { 'content-range': 'bytes 2-4/10', 'content-length': '3' }, '234')
  const part = await sendRequest(port, blob, { authorization, headers: { range: 'bytes=2-4' } })
  t.equal(part.status, 206)
  t.equal(part.headers['content-range'], 'bytes 2-4/10')
  t.equal(part.body.toString(), '234')
  t.equal(upstream.requests.at(-1)?.headers.range, 'bytes=2-4')
})

t.test(
  'an unsatisfiable range is 416 with an error body, although distribution announces the whole blob',
  async (t) => {
    const headers = {
      'content-length': '2048',
      'content-range': 'bytes */2048',
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'max-age=31536000',
      'docker-content-digest': digestOf('0123456789'),
    }
    upstream.respond = async (request, response) => {
      response.writeHead(416, { ...headers, connection: 'close' })
      if (request.method === 'HEAD') return response.end()
      response.write('invalid range: failed to overlap\n', () => response.socket?.end())
    }
    const range = 'bytes=5000-'
    const response = await sendRequest(port, blob, { authorization, headers: { range } })
    t.equal(response.status, 416)
    t.equal(response.code, 'SIZE_INVALID')
    t.match(response.body.toString(), `Range ${range} is outside of the blob`)
    t.equal(response.headers['content-length'], String(response.body.length))
    const head = await sendRequest(port, blob, { method: 'HEAD', authorization, headers: { range } })
    t.equal(head.status, 416)
    for (const { headers } of [response, head]) {
      t.equal(headers['content-range'], 'bytes */2048')
      t.notOk('cache-control' in headers || 'docker-content-digest' in headers)
    }
  },
)

t.test('304 for a blob that the client has is forwarded', async (t) => {
  const etag = '"sha256:x"'
  upstream.respond = respondWith(304, { etag })
  const response = await sendRequest(port, blob, { authorization, headers: { 'if-none-match': etag } })
  t.equal(response.status, 304)
  t.equal(response.headers.etag, etag)
  t.equal(response.body.length, 0)
  t.equal(upstream.requests.at(-1)?.headers['if-none-match'], etag)
})

t.test(
  'a redirect to a storage that BLOB_REDIRECTS lists is forwarded for the client to follow',
  async (t) => {
    const location = 'https://storage.test/blob?X-Amz-Signature=a%2Fb'
    upstream.respond = respondWith(307, { location })
    const response = await sendRequest(port, blob, { authorization })
    t.equal(response.status, 307)
    t.equal(response.headers.location, location)
    t.equal(response.headers['cache-control'], 'no-store')
    t.notMatch(log.join(''), 'X-Amz-Signature', 'the log has no signature')
  },
)

t.test(
  'a redirect to any other host is refused, and the log names the host without the signature',
  async (t) => {
    const headers = { location: 'https://elsewhere.test/blob?X-Amz-Signature=a', 'content-type': 'text/html' }
    for (const method of ['GET', 'HEAD']) {
      upstream.respond = respondWith(
        307,
        headers,
        method === 'GET' ? '<a href="https://elsewhere.test/">' : '',
      )
      const response = await sendRequest(port, blob, { method, authorization })
      t.equal(response.status, 502)
      t.notOk('location' in response.headers)
      t.notMatch(response.body.toString(), 'elsewhere')
      if (method === 'GET') t.equal(response.code, 'UNKNOWN')
    }
    t.match(log.join(''), '"origin":"https://elsewhere.test"')
    t.notMatch(log.join(''), 'X-Amz-Signature')
  },
)

t.test(
  'an error of the registry is forwarded with its body and without headers about its software',
  async (t) => {
    const body = JSON.stringify({ errors: [{ code: 'BLOB_UNKNOWN', message: 'm', detail: { digest: 'd' } }] })
    const headers = { 'content-type': 'application/json', server: 'x', 'set-cookie': 'a=b', via: '1.1 y' }
    upstream.respond = respondWith(404, headers, body)
    const response = await sendRequest(port, blob, { authorization })
    t.equal(response.status, 404)
    t.equal(response.body.toString(), body)
    t.equal(response.headers['content-type'], 'application/json')
    for (const name of ['server', 'set-cookie', 'via', 'x-powered-by'])
      t.notOk(name in response.headers, name)
  },
)

t.test('the bytes of a blob are forwarded unchanged', async (t) => {
  const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * 7 + (index >> 8)) % 256))
  upstream.respond = async (_request, response) => response.end(bytes)
  const response = await sendRequest(port, blob, { authorization })
  t.ok(response.body.equals(bytes))
})

t.test('a response with an invalid Location is forwarded without it', async (t) => {
  upstream.respond = respondWith(200, { location: 'http://[' }, 'body')
  const response = await sendRequest(port, blob, { authorization })
  t.equal(response.status, 200)
  t.equal(response.body.toString(), 'body')
})
