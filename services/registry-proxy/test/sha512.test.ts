import { createHash } from 'node:crypto'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { ask } from './fixtures/ask.ts'
import { CANONICAL } from './fixtures/fake-image-manager.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import { answerWith } from './fixtures/recording-upstream.ts'

const { port, upstream, images, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push', 'delete')])
const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
const type = 'application/vnd.oci.image.index.v1+json'
const raw = '{ "manifests" : [] }'
const digest = `sha512:${createHash('sha512').update(raw).digest('hex')}`
const there = `/v2/team/app/manifests/${digest}`
const errors = '{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'

t.beforeEach(() => {
  upstream.requests.splice(0)
  images.asked.splice(0)
  images.aliases.splice(0)
  images.answers.clear()
  images.behaviour = 'up'
})

const hold = (kept: boolean) =>
  images.answers.set('GET /internal/manifests', {
    body: { digest: CANONICAL, mediaType: type, kept, raw: Buffer.from(raw).toString('base64') },
  })
const keeps = () =>
  images.answers.set('POST /internal/admissions', {
    body: { outcome: 'kept', digest: CANONICAL, subject: CANONICAL },
  })

t.test('a blob pushed by sha512 is named so, and both names are told before the answer', async (t) => {
  const location = `/v2/team/app/blobs/${CANONICAL}`
  upstream.answer = answerWith(201, { location, 'docker-content-digest': CANONICAL })
  const path = `/v2/team/app/blobs/uploads/u1?_binding=${binding}&digest=${digest}`
  const push = () => ask(port, path, { method: 'PUT', authorization, body: raw })
  const answer = await push()
  t.equal(answer.status, 201)
  t.equal(answer.headers['docker-content-digest'], digest)
  t.equal(answer.headers.location, `/v2/team/app/blobs/${digest}`)
  t.same(images.aliases, [{ repository: 'team/app', sha512: digest, sha256: CANONICAL }])

  images.behaviour = 'down'
  const failed = await push()
  t.same([failed.status, failed.code], [503, 'UNAVAILABLE'], 'not told: to be repeated')
  t.ok(failed.headers['retry-after'])
  t.equal(failed.headers.location, undefined)
})

for (const method of ['GET', 'HEAD']) {
  t.test(`a ${method} of a blob by sha512 goes to the registry, and is named so`, async (t) => {
    upstream.answer = answerWith(200, { 'docker-content-digest': CANONICAL })
    const answer = await ask(port, `/v2/team/app/blobs/${digest}`, { method, authorization })
    t.equal(answer.headers['docker-content-digest'], digest)
    t.equal(upstream.only().url, `/v2/team/app/blobs/${digest}`)
    t.same(images.asked, [])
  })

  t.test(`a ${method} of a manifest by sha512 is answered from the index`, async (t) => {
    hold(false)
    const answer = await ask(port, there, { method, authorization })
    t.equal(answer.status, 200)
    t.equal(answer.headers['content-type'], type)
    t.equal(answer.headers['content-length'], String(raw.length))
    t.equal(answer.headers['docker-content-digest'], digest)
    t.equal(answer.body.toString(), method === 'GET' ? raw : '')
    images.answers.clear()
    t.equal((await ask(port, there, { method, authorization })).status, 404)
    t.same(upstream.requests, [])
  })

  t.test(`a ${method} by tag of what the index alone keeps`, async (t) => {
    upstream.answer = answerWith(404, { 'content-length': String(errors.length) }, errors)
    const path = '/v2/team/app/manifests/latest'
    hold(true)
    const answer = await ask(port, path, { method, authorization })
    t.equal(answer.status, 200)
    t.equal(answer.headers['content-length'], String(raw.length))
    t.equal(answer.headers['docker-content-digest'], CANONICAL)
    t.equal(answer.body.toString(), method === 'GET' ? raw : '')

    hold(false)
    const lost = await ask(port, path, { method, authorization })
    t.equal(lost.status, 404, 'what the registry should have and has not is not served')
    t.equal(lost.body.toString(), method === 'GET' ? errors : '')

    images.behaviour = 'down'
    const unknown = await ask(port, path, { method, authorization })
    t.equal(unknown.status, 503, 'it cannot be told whether it is there')
    t.ok(unknown.headers['retry-after'])
  })
}

t.test('a manifest pushed by sha512 goes to the registry by its sha256', async (t) => {
  const location = `/v2/team/app/manifests/${CANONICAL}`
  upstream.answer = answerWith(201, { location, 'docker-content-digest': CANONICAL })
  const headers = { 'content-type': type }
  const answer = await ask(port, there, { method: 'PUT', authorization, headers, body: raw })
  t.equal(answer.status, 201)
  t.equal(answer.headers['docker-content-digest'], digest)
  t.equal(answer.headers.location, there)
  t.equal(upstream.only().url, location)
})

for (const path of [there, '/v2/team/app/manifests/latest']) {
  t.test(`what image-manager keeps never goes to the registry: ${path.slice(0, 32)}`, async (t) => {
    keeps()
    const headers = { 'content-type': type }
    const answer = await ask(port, path, { method: 'PUT', authorization, headers, body: raw })
    t.equal(answer.status, 201)
    const name = path === there ? digest : CANONICAL
    t.equal(answer.headers['docker-content-digest'], name)
    t.equal(answer.headers.location, `/v2/team/app/manifests/${name}`)
    t.equal(answer.headers['oci-subject'], CANONICAL)
    t.same(upstream.requests, [])
  })
}

t.test('blobs are deleted by image-manager, which knows all their names', async (t) => {
  const path = `/v2/team/app/blobs/${digest}`
  t.equal((await ask(port, path, { method: 'DELETE', authorization })).status, 202)
  t.same(images.asked, [`DELETE /internal/blobs?${new URLSearchParams({ repository: 'team/app', digest })}`])
  images.answers.set('DELETE /internal/blobs', { body: { deleted: false } })
  const absent = await ask(port, path, { method: 'DELETE', authorization })
  t.same([absent.status, absent.code], [404, 'BLOB_UNKNOWN'])
  t.same(upstream.requests, [])
})
