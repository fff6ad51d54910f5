import { createHash } from 'node:crypto'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { sendRequest } from './fixtures/send-request.ts'
import { CANONICAL } from './fixtures/fake-image-manager.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import { respondWith } from './fixtures/recording-upstream.ts'

const { port, upstream, images, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push', 'delete')])
const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
const type = 'application/vnd.oci.image.index.v1+json'
const raw = '{ "manifests" : [] }'
const digest = `sha512:${createHash('sha512').update(raw).digest('hex')}`
const path512 = `/v2/team/app/manifests/${digest}`
const errors = '{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'

t.beforeEach(() => {
  upstream.requests.splice(0)
  images.requests.splice(0)
  images.aliases.splice(0)
  images.responses.clear()
  images.behaviour = 'up'
})

const hold = (kept: boolean) =>
  images.responses.set('GET /internal/manifests', {
    body: { digest: CANONICAL, mediaType: type, kept, raw: Buffer.from(raw).toString('base64') },
  })
const storeIndexOnly = () =>
  images.responses.set('POST /internal/admissions', {
    body: { outcome: 'kept', digest: CANONICAL, subject: CANONICAL },
  })

t.test('the sha512 digest of a blob is recorded before the response, which contains it', async (t) => {
  const location = `/v2/team/app/blobs/${CANONICAL}`
  upstream.respond = respondWith(201, { location, 'docker-content-digest': CANONICAL })
  const path = `/v2/team/app/blobs/uploads/u1?_binding=${binding}&digest=${digest}`
  const push = () => sendRequest(port, path, { method: 'PUT', authorization, body: raw })
  const response = await push()
  t.equal(response.status, 201)
  t.equal(response.headers['docker-content-digest'], digest)
  t.equal(response.headers.location, `/v2/team/app/blobs/${digest}`)
  t.same(images.aliases, [{ repository: 'team/app', sha512: digest, sha256: CANONICAL }])

  images.behaviour = 'down'
  const failed = await push()
  t.same([failed.status, failed.code], [503, 'UNAVAILABLE'], 'not recorded, so the client must retry')
  t.ok(failed.headers['retry-after'])
  t.equal(failed.headers.location, undefined)
})

for (const method of ['GET', 'HEAD']) {
  t.test(`a ${method} of a blob by sha512 is forwarded, and the response has that digest`, async (t) => {
    upstream.respond = respondWith(200, { 'docker-content-digest': CANONICAL })
    const response = await sendRequest(port, `/v2/team/app/blobs/${digest}`, { method, authorization })
    t.equal(response.headers['docker-content-digest'], digest)
    t.equal(upstream.only().url, `/v2/team/app/blobs/${digest}`)
    t.same(images.requests, [])
  })

  t.test(`a ${method} of a manifest by sha512 is handled by the index`, async (t) => {
    hold(false)
    const response = await sendRequest(port, path512, { method, authorization })
    t.equal(response.status, 200)
    t.equal(response.headers['content-type'], type)
    t.equal(response.headers['content-length'], String(raw.length))
    t.equal(response.headers['docker-content-digest'], digest)
    t.equal(response.body.toString(), method === 'GET' ? raw : '')
    images.responses.clear()
    t.equal((await sendRequest(port, path512, { method, authorization })).status, 404)
    t.same(upstream.requests, [])
  })

  t.test(`a ${method} by tag of an index-only manifest gets the manifest of the index`, async (t) => {
    upstream.respond = respondWith(404, { 'content-length': String(errors.length) }, errors)
    const path = '/v2/team/app/manifests/latest'
    hold(true)
    const response = await sendRequest(port, path, { method, authorization })
    t.equal(response.status, 200)
    t.equal(response.headers['content-length'], String(raw.length))
    t.equal(response.headers['docker-content-digest'], CANONICAL)
    t.equal(response.body.toString(), method === 'GET' ? raw : '')

    hold(false)
    const lost = await sendRequest(port, path, { method, authorization })
    t.equal(lost.status, 404, 'a manifest that the registry has lost is not served from the index')
    t.equal(lost.body.toString(), method === 'GET' ? errors : '')

    images.behaviour = 'down'
    const unknown = await sendRequest(port, path, { method, authorization })
    t.equal(unknown.status, 503, 'whether the index has it is unknown')
    t.ok(unknown.headers['retry-after'])
  })
}

t.test('a manifest that is pushed by sha512 goes to the registry by its sha256 digest', async (t) => {
  const location = `/v2/team/app/manifests/${CANONICAL}`
  upstream.respond = respondWith(201, { location, 'docker-content-digest': CANONICAL })
  const headers = { 'content-type': type }
  const response = await sendRequest(port, path512, { method: 'PUT', authorization, headers, body: raw })
  t.equal(response.status, 201)
  t.equal(response.headers['docker-content-digest'], digest)
  t.equal(response.headers.location, path512)
  t.equal(upstream.only().url, location)
})

for (const path of [path512, '/v2/team/app/manifests/latest']) {
  t.test(`an index-only manifest does not reach the registry: ${path.slice(0, 32)}`, async (t) => {
    storeIndexOnly()
    const headers = { 'content-type': type }
    const response = await sendRequest(port, path, { method: 'PUT', authorization, headers, body: raw })
    t.equal(response.status, 201)
    const name = path === path512 ? digest : CANONICAL
    t.equal(response.headers['docker-content-digest'], name)
    t.equal(response.headers.location, `/v2/team/app/manifests/${name}`)
    t.equal(response.headers['oci-subject'], CANONICAL)
    t.same(upstream.requests, [])
  })
}

t.test('image-manager deletes blobs, because it knows all their digests', async (t) => {
  const path = `/v2/team/app/blobs/${digest}`
  t.equal((await sendRequest(port, path, { method: 'DELETE', authorization })).status, 202)
  t.same(images.requests, [
    `DELETE /internal/blobs?${new URLSearchParams({ repository: 'team/app', digest })}`,
  ])
  images.responses.set('DELETE /internal/blobs', { body: { deleted: false } })
  const absent = await sendRequest(port, path, { method: 'DELETE', authorization })
  t.same([absent.status, absent.code], [404, 'BLOB_UNKNOWN'])
  t.same(upstream.requests, [])
})
