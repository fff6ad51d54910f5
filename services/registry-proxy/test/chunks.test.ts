import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { sendRequest } from './fixtures/send-request.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import type { Respond } from './fixtures/recording-upstream.ts'
import { respondWith } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, upstream, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'push')])
const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
const path = `/v2/team/app/blobs/uploads/u1?_state=s&_binding=${binding}`
const send = (method: string, range: string, others: Record<string, string> = {}, body = 'hello') => {
  const target = method === 'PUT' ? `${path}&digest=${DIGEST}` : path
  return sendRequest(port, target, {
    method,
    authorization,
    headers: { 'content-range': range, ...others },
    body,
  })
}

/** A registry with five bytes of the upload. */
const hasFive: Respond = (incoming, response, recorded) =>
  incoming.method === 'GET'
    ? respondWith(204, { range: '0-4' })(incoming, response, recorded)
    : respondWith(202, {})(incoming, response, recorded)

t.beforeEach(() => {
  upstream.requests.splice(0)
  upstream.respond = hasFive
})

for (const method of ['PATCH', 'PUT']) {
  t.test(`a ${method} that continues the upload is forwarded`, async (t) => {
    t.equal((await send(method, '5-9')).status, 202)
    t.equal(upstream.requests.at(-1)?.headers['content-range'], '5-9')
    t.same(
      upstream.requests.map((one) => `${one.method} ${one.url.split('&')[0]}`),
      ['GET', method].map((expected) => `${expected} /v2/team/app/blobs/uploads/u1?_state=s`),
      'the status is requested before the chunk is forwarded',
    )
  })

  for (const range of ['0-4', '6-10', '5-6', 'bytes 5-9/10', 'x']) {
    t.test(`a ${method} with Content-Range ${range} is 416 and is not forwarded`, async (t) => {
      const response = await send(method, range)
      t.same([response.status, response.code], [416, 'BLOB_UPLOAD_INVALID'])
      t.same(
        upstream.requests.map((one) => one.method),
        ['GET'],
      )
    })
  }
}

t.test('a chunk that waits for 100 Continue is refused before its bytes are sent', async (t) => {
  const response = await send('PATCH', '0-4', { expect: '100-continue' }, '')
  t.equal(response.status, 416)
})

t.test('no status is requested for a chunk without Content-Range', async (t) => {
  await sendRequest(port, path, { method: 'PATCH', authorization, body: 'hello' })
  t.equal(upstream.only().method, 'PATCH')
})

t.test('the registry itself refuses a chunk of an unknown upload', async (t) => {
  upstream.respond = respondWith(404, { 'content-type': 'application/json' }, '{"errors":[]}')
  t.equal((await send('PATCH', '0-4')).status, 404)
})

t.test('a chunk is 503 if the registry does not report the status of its upload', async (t) => {
  upstream.respond = (_incoming, response) => response.destroy()
  const response = await send('PATCH', '5-9')
  t.same([response.status, response.code], [503, 'UNAVAILABLE'])
  t.ok(response.headers['retry-after'])
})
