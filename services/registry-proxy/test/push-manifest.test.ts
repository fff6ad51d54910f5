import { request } from 'node:http'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { startProxy, until } from './fixtures/proxy.ts'
import { respondWith } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'

const path = '/v2/team/app/manifests/latest'
const type = 'application/vnd.oci.image.manifest.v1+json'
const manifest = '{ "schemaVersion" : 2 }\n'
const { port, upstream, images, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push')])
const headers = { 'content-type': type }
const put = () => sendRequest(port, path, { method: 'PUT', authorization, headers, body: manifest })

const ANNOUNCE = `POST /internal/admissions?${new URLSearchParams({ repository: 'team/app', reference: 'latest', type, account: 'uid-alice' })}`
const RECORD = 'POST /internal/admissions/an-admission/record'
const DISCARD = 'DELETE /internal/admissions/an-admission'
const created = respondWith(201, {
  'docker-content-digest': DIGEST,
  location: `/v2/team/app/manifests/${DIGEST}`,
})

t.beforeEach(() => {
  upstream.requests.splice(0)
  upstream.respond = created
  images.requests.splice(0)
  images.announcedManifests.splice(0)
  images.responses.clear()
  images.behaviour = 'up'
})

t.test('a push is announced before the registry gets it, and recorded before the response', async (t) => {
  let before: string[] = []
  upstream.respond = (incoming, response, recorded) => {
    before = [...images.requests]
    return created(incoming, response, recorded)
  }
  const response = await put()
  t.equal(response.status, 201)
  t.equal(response.headers['docker-content-digest'], DIGEST)
  t.equal(response.headers['oci-subject'], undefined)
  t.same(before, [ANNOUNCE], 'announced and not yet recorded')
  t.same(images.requests, [ANNOUNCE, RECORD])
  t.equal(images.announcedManifests[0]?.toString(), manifest)
  t.equal(upstream.only().body.toString(), manifest)
})

t.test('the response names the subject of the manifest', async (t) => {
  images.responses.set(RECORD, { body: { digest: DIGEST, subject: DIGEST } })
  t.equal((await put()).headers['oci-subject'], DIGEST)
})

t.test('a push that cannot be recorded is 503, and a retry succeeds', async (t) => {
  images.behaviour = 'forgetful'
  const response = await put()
  t.same([response.status, response.code], [503, 'UNAVAILABLE'])
  t.ok(response.headers['retry-after'])
  t.notOk(images.requests.includes(DISCARD), 'the push stays pending')
  images.behaviour = 'up'
  t.equal((await put()).status, 201)
})

t.test('a push into a repository that is deleted at the same time is 503', async (t) => {
  images.responses.set(RECORD, { body: { digest: null, subject: null } })
  const response = await put()
  t.same([response.status, response.code], [503, 'UNAVAILABLE'])
  t.ok(response.headers['retry-after'])
})

t.test(
  'a push is repeated once if image-manager recorded its outcome but the response was lost',
  async (t) => {
    // image-manager stopped after it had recorded the push and before it responded.
    images.responses.set(RECORD, { status: 404, body: {} })
    upstream.respond = (incoming, response, recorded) => {
      if (upstream.requests.length === 2) images.responses.clear()
      return created(incoming, response, recorded)
    }
    t.equal((await put()).status, 201)
    t.same(images.requests, [ANNOUNCE, RECORD, ANNOUNCE, RECORD])

    images.responses.set(RECORD, { status: 404, body: {} })
    images.requests.splice(0)
    const response = await put()
    t.same([response.status, response.code], [503, 'UNAVAILABLE'], 'only once')
    t.same(images.requests, [ANNOUNCE, RECORD, ANNOUNCE, RECORD])
  },
)

for (const status of [400, 404, 413, 500]) {
  t.test(`the registry's ${status} is forwarded, and the pending push discarded`, async (t) => {
    const body = '{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}'
    upstream.respond = respondWith(status, { 'content-type': 'application/json' }, body)
    const response = await put()
    t.equal(response.status, status)
    t.equal(response.body.toString(), body)
    await until(() => images.requests.includes(DISCARD))
    t.notOk(images.requests.includes(RECORD))
  })
}

t.test('the proxy retries a push to which the registry responds 500, unnoticed by the client', async (t) => {
  let failures = 2
  upstream.respond = (incoming, response, recorded) =>
    failures-- > 0 ? respondWith(500)(incoming, response, recorded) : created(incoming, response, recorded)
  t.equal((await put()).status, 201)
  t.same(
    upstream.requests.map(({ body }) => body.toString()),
    [manifest, manifest, manifest],
  )
  t.same(images.requests, [ANNOUNCE, RECORD], 'announced and recorded once')
})

for (const code of ['MANIFEST_INVALID', 'DIGEST_INVALID'] as const) {
  t.test(`a manifest that image-manager refuses as ${code} does not reach the registry`, async (t) => {
    const body = { outcome: 'refused', code, message: 'the reason' }
    images.responses.set('POST /internal/admissions', { body })
    const response = await put()
    t.same([response.status, response.code], [400, code])
    t.match(response.body.toString(), /the reason/)
    t.same(upstream.requests, [])
  })
}

t.test('a push is 429 with Retry-After while image-manager works on too many manifests', async (t) => {
  const body = { outcome: 'refused', code: 'TOOMANYREQUESTS', message: 'retry in a second' }
  images.responses.set('POST /internal/admissions', { body })
  const response = await put()
  t.same([response.status, response.code, response.headers['retry-after']], [429, 'TOOMANYREQUESTS', '1'])
  t.same(upstream.requests, [])
})

for (const state of ['down', 'responding 503'] as const) {
  t.test(`a push does not reach the registry while image-manager is ${state}`, async (t) => {
    if (state === 'down') images.behaviour = 'down'
    else images.responses.set('POST /internal/admissions', { status: 503, body: {} })
    const response = await put()
    t.same([response.status, response.code], [503, 'UNAVAILABLE'])
    t.ok(response.headers['retry-after'])
    t.same(upstream.requests, [])
  })
}

t.test('a push is recorded although its client has disconnected', async (t) => {
  const gone = Promise.withResolvers<void>()
  upstream.respond = async (incoming, response, recorded) => {
    outgoing.destroy()
    await gone.promise
    return created(incoming, response, recorded)
  }
  const outgoing = request({
    port,
    path,
    method: 'PUT',
    headers: { ...headers, authorization },
    agent: false,
  })
  outgoing.on('error', () => undefined).end(manifest)
  await until(() => outgoing.closed)
  gone.resolve()
  await until(() => images.requests.includes(RECORD))
  t.same(images.requests, [ANNOUNCE, RECORD])
})
