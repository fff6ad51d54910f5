import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { sendRequest } from './fixtures/send-request.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, upstream, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push')])
const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
const path = `/v2/team/app/blobs/uploads/u1?_state=s&_binding=${binding}`
const closing = `${path}&digest=${DIGEST}`

/** Bytes that are not UTF-8, longer than Fastify's body limit, and that begin like a form. */
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
    t.test(
      `the body of a ${method} with type ${type} is forwarded unchanged, as application/octet-stream`,
      async (t) => {
        const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type }
        const target = method === 'PUT' ? closing : path
        const response = await sendRequest(port, target, { method, authorization, headers, body: bytes })
        t.equal(response.status, 200)
        const sent = upstream.only()
        upstream.requests.length = 0
        t.ok(sent.body.equals(bytes), `${sent.body.length} bytes`)
        t.equal(sent.headers['content-type'], 'application/octet-stream')
        t.equal(sent.headers['content-length'], String(bytes.length))
      },
    )
  }
}

t.test('a chunked body is forwarded without Content-Length', async (t) => {
  const headers = { 'transfer-encoding': 'chunked' }
  const response = await sendRequest(port, path, { method: 'PATCH', authorization, headers, body: bytes })
  t.equal(response.status, 200)
  const sent = upstream.only()
  upstream.requests.length = 0
  t.ok(sent.body.equals(bytes))
  t.equal(sent.headers['content-length'], undefined)
})

t.test('a closing PUT without a body is forwarded', async (t) => {
  const headers = { 'content-length': '0' }
  const response = await sendRequest(port, closing, { method: 'PUT', authorization, headers })
  t.equal(response.status, 200)
  const sent = upstream.only()
  upstream.requests.length = 0
  t.equal(sent.method, 'PUT')
  t.equal(sent.body.length, 0)
  t.equal(sent.headers['content-length'], '0')
})
