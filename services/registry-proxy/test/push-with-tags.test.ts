import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { ask } from './fixtures/ask.ts'
import { CANONICAL } from './fixtures/fake-image-manager.ts'
import { startProxy } from './fixtures/proxy.ts'
import { answerWith } from './fixtures/recording-upstream.ts'
import { DIGEST, SHA512 } from './fixtures/requests.ts'

/* Source: OCI distribution-spec main, "Pushing Manifests", `tag` and `OCI-Tag`. */

const { port, upstream, images, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push')])
const headers = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' }
const put = (reference: string) =>
  ask(port, `/v2/team/app/manifests/${reference}`, { method: 'PUT', authorization, headers, body: '{}' })
const targets = () => upstream.requests.map(({ url }) => url.split('/').at(-1))

t.beforeEach(() => {
  upstream.requests.splice(0)
  upstream.answer = answerWith(201, { 'docker-content-digest': DIGEST })
  images.asked.splice(0)
  images.answers.clear()
})

t.test('a push by digest with tags is one PUT for the digest and one for each tag', async (t) => {
  const answer = await put(`${DIGEST}?tag=a&tag=b&tag=a`)
  t.equal(answer.status, 201)
  t.equal(answer.headers['oci-tag'], 'a, b')
  t.same(targets(), [CANONICAL, 'a', 'b'])
  t.equal(images.asked.filter((asked) => asked.endsWith('/record')).length, 3, 'each is recorded')
})

t.test('a push by sha512 sets its tags as well, and is answered by that digest', async (t) => {
  const answer = await put(`${SHA512}?tag=a`)
  t.same(
    [answer.status, answer.headers['docker-content-digest'], answer.headers['oci-tag']],
    [201, SHA512, 'a'],
  )
  t.same(targets(), [CANONICAL, 'a'])
})

t.test('a manifest that the index keeps gets its tags there', async (t) => {
  const body = { outcome: 'kept', digest: CANONICAL, subject: null }
  images.answers.set('POST /internal/admissions', { body })
  t.equal((await put(`${DIGEST}?tag=a&tag=b`)).headers['oci-tag'], 'a, b')
  t.same(targets(), [])
  const references = images.asked.map((asked) =>
    new URL(asked.split(' ')[1] ?? '', 'http://x').searchParams.get('reference'),
  )
  t.same(references, [DIGEST, 'a', 'b'])
})

t.test('no tag is set, and none answered, where the manifest itself is refused', async (t) => {
  upstream.answer = answerWith(400, {})
  const answer = await put(`${DIGEST}?tag=a`)
  t.same([answer.status, answer.headers['oci-tag']], [400, undefined])
  t.same(targets(), [CANONICAL])
})

t.test('a tag that cannot be set is the answer to the push', async (t) => {
  upstream.answer = (incoming, response, recorded) =>
    answerWith(recorded.url.endsWith('/b') ? 400 : 201, {})(incoming, response, recorded)
  const answer = await put(`${DIGEST}?tag=a&tag=b&tag=c`)
  t.same([answer.status, answer.headers['oci-tag']], [400, undefined])
  t.same(targets(), [CANONICAL, 'a', 'b'])
})

t.test('a push without tags is answered without OCI-Tag; tags beside a tag are ignored', async (t) => {
  t.equal((await put(DIGEST)).headers['oci-tag'], undefined)
  t.equal((await put('v1?tag=a')).headers['oci-tag'], undefined)
  t.same(targets(), [CANONICAL, 'v1'])
})

t.test('an invalid tag and more than ten are refused before anything is sent', async (t) => {
  t.same(
    [(await put(`${DIGEST}?tag=a&tag=.b`)).code, (await put(`${DIGEST}?tag=`)).code],
    ['TAG_INVALID', 'TAG_INVALID'],
  )
  const many = (count: number) => [...Array(count).keys()].map((number) => `tag=t${number}`).join('&')
  t.equal((await put(`${DIGEST}?${many(11)}`)).status, 414)
  t.same([images.asked, targets()], [[], []])
  t.equal((await put(`${DIGEST}?${many(10)}`)).status, 201)
})
