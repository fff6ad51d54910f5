import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { ask } from './fixtures/ask.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, upstream, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push')])
const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
const path = `/v2/team/app/blobs/uploads/u1?_state=s&_binding=${binding}`
const closing = `${path}&digest=${DIGEST}`

/** Not UTF-8, longer than a JSON body may be, and with the words of a form in it. */
const bytes = Buffer.concat([
  Buffer.from(`digest=${DIGEST}&_state=evil&from=other/app`),
  Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 31) % 256)),
])

const TYPES = [
  undefined,
  'application/octet-stream',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=b',
  'text/plain',
  'text/plain; charset=utf-8',
  'application/json',
  'application/vnd.oci.image.layer.v1.tar+gzip',
]

for (const type of TYPES) {
  for (const method of ['PATCH', 'PUT']) {
    t.test(`${method} of a body of type ${type} comes through to the byte, as bytes`, async (t) => {
      const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type }
      const target = method === 'PUT' ? closing : path
      const answer = await ask(port, target, { method, authorization, headers, body: bytes })
      t.equal(answer.status, 200)
      const sent = upstream.only()
      upstream.requests.length = 0
      t.ok(sent.body.equals(bytes), `${sent.body.length} bytes`)
      t.equal(sent.headers['content-type'], 'application/octet-stream')
      t.equal(sent.headers['content-length'], String(bytes.length))
    })
  }
}

t.test('in chunks, with no length', async (t) => {
  const headers = { 'transfer-encoding': 'chunked' }
  const answer = await ask(port, path, { method: 'PATCH', authorization, headers, body: bytes })
  t.equal(answer.status, 200)
  const sent = upstream.only()
  upstream.requests.length = 0
  t.ok(sent.body.equals(bytes))
  t.equal(sent.headers['content-length'], undefined)
})

t.test('a closing PUT without a body', async (t) => {
  const headers = { 'content-length': '0' }
  const answer = await ask(port, closing, { method: 'PUT', authorization, headers })
  t.equal(answer.status, 200)
  const sent = upstream.only()
  upstream.requests.length = 0
  t.equal(sent.method, 'PUT')
  t.equal(sent.body.length, 0)
  t.equal(sent.headers['content-length'], '0')
})
