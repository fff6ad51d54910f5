import { request } from 'node:http'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { ask } from './fixtures/ask.ts'
import { startProxy, until } from './fixtures/proxy.ts'
import { answerWith } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'

const path = '/v2/team/app/manifests/latest'
const type = 'application/vnd.oci.image.manifest.v1+json'
const manifest = '{ "schemaVersion" : 2 }\n'
const { port, upstream, images, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push')])
const headers = { 'content-type': type }
const put = () => ask(port, path, { method: 'PUT', authorization, headers, body: manifest })

const ADMIT = `POST /internal/admissions?${new URLSearchParams({ repository: 'team/app', reference: 'latest', type, account: 'uid-alice' })}`
const RECORD = 'POST /internal/admissions/an-admission/record'
const DISCARD = 'DELETE /internal/admissions/an-admission'
const created = answerWith(201, {
  'docker-content-digest': DIGEST,
  location: `/v2/team/app/manifests/${DIGEST}`,
})

t.beforeEach(() => {
  upstream.requests.splice(0)
  upstream.answer = created
  images.asked.splice(0)
  images.admitted.splice(0)
  images.answers.clear()
  images.behaviour = 'up'
})

t.test('admitted before the registry sees it, recorded before the answer', async (t) => {
  let before: string[] = []
  upstream.answer = (incoming, response, recorded) => {
    before = [...images.asked]
    return created(incoming, response, recorded)
  }
  const answer = await put()
  t.equal(answer.status, 201)
  t.equal(answer.headers['docker-content-digest'], DIGEST)
  t.equal(answer.headers['oci-subject'], undefined)
  t.same(before, [ADMIT], 'admitted, and not yet recorded')
  t.same(images.asked, [ADMIT, RECORD])
  t.equal(images.admitted[0]?.toString(), manifest)
  t.equal(upstream.only().body.toString(), manifest)
})

t.test('a subject is answered', async (t) => {
  images.answers.set(RECORD, { body: { digest: DIGEST, subject: DIGEST } })
  t.equal((await put()).headers['oci-subject'], DIGEST)
})

t.test('what cannot be written down is answered 503: push it again', async (t) => {
  images.behaviour = 'forgetful'
  const answer = await put()
  t.same([answer.status, answer.code], [503, 'UNAVAILABLE'])
  t.ok(answer.headers['retry-after'])
  t.notOk(images.asked.includes(DISCARD), 'it stays pending')
  images.behaviour = 'up'
  t.equal((await put()).status, 201)
})

t.test('so is what was deleted before it could be', async (t) => {
  images.answers.set(RECORD, { body: { digest: null, subject: null } })
  const answer = await put()
  t.same([answer.status, answer.code], [503, 'UNAVAILABLE'])
  t.ok(answer.headers['retry-after'])
})

t.test('where it is not known what was written down, it is pushed once more', async (t) => {
  // As it is when image-manager dies between writing it down and saying so.
  images.answers.set(RECORD, { status: 404, body: {} })
  upstream.answer = (incoming, response, recorded) => {
    if (upstream.requests.length === 2) images.answers.clear()
    return created(incoming, response, recorded)
  }
  t.equal((await put()).status, 201)
  t.same(images.asked, [ADMIT, RECORD, ADMIT, RECORD])

  images.answers.set(RECORD, { status: 404, body: {} })
  images.asked.splice(0)
  const answer = await put()
  t.same([answer.status, answer.code], [503, 'UNAVAILABLE'], 'and not for ever')
  t.same(images.asked, [ADMIT, RECORD, ADMIT, RECORD])
})

for (const status of [400, 404, 413, 500]) {
  t.test(`the registry's ${status} is passed on, the admission discarded`, async (t) => {
    const body = '{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}'
    upstream.answer = answerWith(status, { 'content-type': 'application/json' }, body)
    const answer = await put()
    t.equal(answer.status, status)
    t.equal(answer.body.toString(), body)
    await until(() => images.asked.includes(DISCARD))
    t.notOk(images.asked.includes(RECORD))
  })
}

t.test('a registry that fails for a moment is asked again, and the client does not see it', async (t) => {
  let failures = 2
  upstream.answer = (incoming, response, recorded) =>
    failures-- > 0 ? answerWith(500)(incoming, response, recorded) : created(incoming, response, recorded)
  t.equal((await put()).status, 201)
  t.same(
    upstream.requests.map(({ body }) => body.toString()),
    [manifest, manifest, manifest],
  )
  t.same(images.asked, [ADMIT, RECORD], 'admitted and recorded once')
})

for (const code of ['MANIFEST_INVALID', 'DIGEST_INVALID'] as const) {
  t.test(`a manifest that image-manager refuses as ${code} does not reach the registry`, async (t) => {
    const body = { outcome: 'refused', code, message: 'what was wrong' }
    images.answers.set('POST /internal/admissions', { body })
    const answer = await put()
    t.same([answer.status, answer.code], [400, code])
    t.match(answer.body.toString(), /what was wrong/)
    t.same(upstream.requests, [])
  })
}

t.test(
  'while image-manager works on too many manifests the answer is 429, with a time to retry',
  async (t) => {
    const body = { outcome: 'refused', code: 'TOOMANYREQUESTS', message: 'retry in a second' }
    images.answers.set('POST /internal/admissions', { body })
    const answer = await put()
    t.same([answer.status, answer.code, answer.headers['retry-after']], [429, 'TOOMANYREQUESTS', '1'])
    t.same(upstream.requests, [])
  },
)

for (const away of ['down', 'answering 503'] as const) {
  t.test(`while image-manager is ${away} nothing reaches the registry`, async (t) => {
    if (away === 'down') images.behaviour = 'down'
    else images.answers.set('POST /internal/admissions', { status: 503, body: {} })
    const answer = await put()
    t.same([answer.status, answer.code], [503, 'UNAVAILABLE'])
    t.ok(answer.headers['retry-after'])
    t.same(upstream.requests, [])
  })
}

t.test('a push whose client has gone is recorded still', async (t) => {
  const gone = Promise.withResolvers<void>()
  upstream.answer = async (incoming, response, recorded) => {
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
  await until(() => images.asked.includes(RECORD))
  t.same(images.asked, [ADMIT, RECORD])
})
