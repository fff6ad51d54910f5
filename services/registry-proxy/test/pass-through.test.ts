import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { ask } from './fixtures/ask.ts'
import { startProxy } from './fixtures/proxy.ts'
import { answerWith, digestOf } from './fixtures/recording-upstream.ts'

const blob = `/v2/team/app/blobs/${digestOf('0123456789')}`

const { port, upstream, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull')])

t.test('a part of a blob', async (t) => {
  upstream.answer = answerWith(206, { 'content-range': 'bytes 2-4/10', 'content-length': '3' }, '234')
  const part = await ask(port, blob, { authorization, headers: { range: 'bytes=2-4' } })
  t.equal(part.status, 206)
  t.equal(part.headers['content-range'], 'bytes 2-4/10')
  t.equal(part.body.toString(), '234')
  t.equal(upstream.requests.at(-1)?.headers.range, 'bytes=2-4')
})

t.test('a range that a blob has not: distribution announces the whole blob', async (t) => {
  const headers = {
    'content-length': '2048',
    'content-range': 'bytes */2048',
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'max-age=31536000',
    'docker-content-digest': digestOf('0123456789'),
  }
  upstream.answer = async (request, response) => {
    response.writeHead(416, { ...headers, connection: 'close' })
    if (request.method === 'HEAD') return response.end()
    response.write('invalid range: failed to overlap\n', () => response.socket?.end())
  }
  const range = 'bytes=5000-'
  const answer = await ask(port, blob, { authorization, headers: { range } })
  t.equal(answer.status, 416)
  t.equal(answer.code, 'SIZE_INVALID')
  t.equal(answer.headers['content-length'], String(answer.body.length))
  const head = await ask(port, blob, { method: 'HEAD', authorization, headers: { range } })
  t.equal(head.status, 416)
  for (const { headers } of [answer, head]) {
    t.equal(headers['content-range'], 'bytes */2048')
    t.notOk('cache-control' in headers || 'docker-content-digest' in headers)
  }
})

t.test('a blob that the client has already', async (t) => {
  const etag = '"sha256:x"'
  upstream.answer = answerWith(304, { etag })
  const answer = await ask(port, blob, { authorization, headers: { 'if-none-match': etag } })
  t.equal(answer.status, 304)
  t.equal(answer.headers.etag, etag)
  t.equal(answer.body.length, 0)
  t.equal(upstream.requests.at(-1)?.headers['if-none-match'], etag)
})

t.test('a redirect to the storage is the client`s to follow', async (t) => {
  const location = 'https://storage.test/blob?X-Amz-Signature=a%2Fb'
  upstream.answer = answerWith(307, { location })
  const answer = await ask(port, blob, { authorization })
  t.equal(answer.status, 307)
  t.equal(answer.headers.location, location)
})

t.test('an error of the registry, body and all, without what it says of itself', async (t) => {
  const body = JSON.stringify({ errors: [{ code: 'BLOB_UNKNOWN', message: 'm', detail: { digest: 'd' } }] })
  const headers = { 'content-type': 'application/json', server: 'x', 'set-cookie': 'a=b', via: '1.1 y' }
  upstream.answer = answerWith(404, headers, body)
  const answer = await ask(port, blob, { authorization })
  t.equal(answer.status, 404)
  t.equal(answer.body.toString(), body)
  t.equal(answer.headers['content-type'], 'application/json')
  for (const name of ['server', 'set-cookie', 'via', 'x-powered-by']) t.notOk(name in answer.headers, name)
})

t.test('bytes, whatever they are', async (t) => {
  const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * 7 + (index >> 8)) % 256))
  upstream.answer = async (_request, response) => response.end(bytes)
  const answer = await ask(port, blob, { authorization })
  t.ok(answer.body.equals(bytes))
})

t.test('an answer with a Location that is no URL still comes', async (t) => {
  upstream.answer = answerWith(200, { location: 'http://[' }, 'body')
  const answer = await ask(port, blob, { authorization })
  t.equal(answer.status, 200)
  t.equal(answer.body.toString(), 'body')
})
