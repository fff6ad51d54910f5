import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { ask } from './fixtures/ask.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import type { Answer } from './fixtures/recording-upstream.ts'
import { answerWith } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, upstream, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'push')])
const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
const path = `/v2/team/app/blobs/uploads/u1?_state=s&_binding=${binding}`
const send = (method: string, range: string, others: Record<string, string> = {}, body = 'hello') => {
  const target = method === 'PUT' ? `${path}&digest=${DIGEST}` : path
  return ask(port, target, { method, authorization, headers: { 'content-range': range, ...others }, body })
}

/** A registry that has five bytes of the upload. */
const hasFive: Answer = (incoming, response, recorded) =>
  incoming.method === 'GET'
    ? answerWith(204, { range: '0-4' })(incoming, response, recorded)
    : answerWith(202, {})(incoming, response, recorded)

t.beforeEach(() => {
  upstream.requests.splice(0)
  upstream.answer = hasFive
})

for (const method of ['PATCH', 'PUT']) {
  t.test(`a ${method} that goes on where the upload is`, async (t) => {
    t.equal((await send(method, '5-9')).status, 202)
    t.equal(upstream.requests.at(-1)?.headers['content-range'], '5-9')
    t.same(
      upstream.requests.map((one) => `${one.method} ${one.url.split('&')[0]}`),
      ['GET', method].map((asked) => `${asked} /v2/team/app/blobs/uploads/u1?_state=s`),
      'the registry is asked how far the upload is, under its own name',
    )
  })

  for (const range of ['0-4', '6-10', '5-6', 'bytes 5-9/10', 'x']) {
    t.test(`a ${method} of ${range} is answered 416, and its bytes go nowhere`, async (t) => {
      const answer = await send(method, range)
      t.same([answer.status, answer.code], [416, 'BLOB_UPLOAD_INVALID'])
      t.same(
        upstream.requests.map((one) => one.method),
        ['GET'],
      )
    })
  }
}

t.test('who waits for leave to send is refused before it sends', async (t) => {
  const answer = await send('PATCH', '0-4', { expect: '100-continue' }, '')
  t.equal(answer.status, 416)
})

t.test('without a Content-Range nothing is asked', async (t) => {
  await ask(port, path, { method: 'PATCH', authorization, body: 'hello' })
  t.equal(upstream.only().method, 'PATCH')
})

t.test('an upload that the registry does not know is the registry’s to refuse', async (t) => {
  upstream.answer = answerWith(404, { 'content-type': 'application/json' }, '{"errors":[]}')
  t.equal((await send('PATCH', '0-4')).status, 404)
})

t.test('a registry that does not answer: 503', async (t) => {
  upstream.answer = (_incoming, response) => response.destroy()
  const answer = await send('PATCH', '5-9')
  t.same([answer.status, answer.code], [503, 'UNAVAILABLE'])
  t.ok(answer.headers['retry-after'])
})
