import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { sendRequest } from './fixtures/send-request.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import { DIGEST } from './fixtures/requests.ts'

/* The decision comes first: Fastify must not judge the Content-Type of a request before it is authorized. */

const { port, upstream, images, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push', 'delete')])
const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
const upload = `/v2/team/app/blobs/uploads/u1?_binding=${binding}`
const WRITES = [
  ['PUT', '/v2/team/app/manifests/latest'],
  ['POST', '/v2/team/app/blobs/uploads/'],
  ['PATCH', upload],
  ['PUT', `${upload}&digest=${DIGEST}`],
  ['DELETE', upload],
] as const
/** Node's client sends the body of a DELETE without its length. */
const bodyOf = (method: string) => (method === 'DELETE' ? {} : { body: 'bytes' })

for (const type of ['garbage', 'text/', '/', 'a/b/c', '']) {
  const headers = { 'content-type': type }

  t.test(`a write without credentials and with Content-Type "${type}" is 401`, async (t) => {
    for (const [method, path] of WRITES) {
      const response = await sendRequest(port, path, { method, headers, ...bodyOf(method) })
      t.same([response.status, response.code], [401, 'UNAUTHORIZED'], `${method} ${path}`)
    }
    t.same(upstream.requests, [], 'nothing reached the registry')
  })

  t.test(`an authorized write with Content-Type "${type}" is 415`, async (t) => {
    for (const [method, path] of WRITES) {
      const response = await sendRequest(port, path, { method, authorization, headers, ...bodyOf(method) })
      t.same([response.status, response.code], [415, 'UNSUPPORTED'], `${method} ${path}`)
    }
    t.same(upstream.requests, [], 'nothing reached the registry')
    t.same(images.announcedManifests, [], 'no manifest was announced')
  })
}

t.test('a body of any media type is forwarded', async (t) => {
  for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded', 'a/b; c=d']) {
    const headers = { 'content-type': type }
    const response = await sendRequest(port, upload, {
      method: 'PATCH',
      authorization,
      headers,
      body: '{"not": "read',
    })
    t.equal(response.status, 200, type)
    t.equal(upstream.requests.pop()?.body.toString(), '{"not": "read', type)
  }
})
