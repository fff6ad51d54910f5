import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { CANONICAL } from './fixtures/fake-image-manager.ts'
import { startProxy } from './fixtures/proxy.ts'
import { respondWith } from './fixtures/recording-upstream.ts'
import { DIGEST, SHA512 } from './fixtures/requests.ts'

/* Source: OCI distribution-spec main, "Pushing Manifests", `tag` and `OCI-Tag`. */

const { port, upstream, images, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push')])
const headers = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' }
const put = (reference: string) =>
  sendRequest(port, `/v2/team/app/manifests/${reference}`, {
    method: 'PUT',
    authorization,
    headers,
    body: '{}',
  })
const targets = () => upstream.requests.map(({ url }) => url.split('/').at(-1))

t.beforeEach(() => {
  upstream.requests.splice(0)
  upstream.respond = respondWith(201, { 'docker-content-digest': DIGEST })
  images.requests.splice(0)
  images.responses.clear()
})

t.test('a push by digest with tags is one PUT for the digest and one for each tag', async (t) => {
  const response = await put(`${DIGEST}?tag=a&tag=b&tag=a`)
  t.equal(response.status, 201)
  t.equal(response.headers['oci-tag'], 'a, b')
  t.same(targets(), [CANONICAL, 'a', 'b'])
  t.equal(images.requests.filter((line) => line.endsWith('/record')).length, 3, 'each is recorded')
})

t.test('a push by sha512 sets its tags, and its response has that digest', async (t) => {
  const response = await put(`${SHA512}?tag=a`)
  t.same(
    [response.status, response.headers['docker-content-digest'], response.headers['oci-tag']],
    [201, SHA512, 'a'],
  )
  t.same(targets(), [CANONICAL, 'a'])
})

t.test('the tags of an index-only manifest are set in the index', async (t) => {
  const body = { outcome: 'kept', digest: CANONICAL, subject: null }
  images.responses.set('POST /internal/admissions', { body })
  t.equal((await put(`${DIGEST}?tag=a&tag=b`)).headers['oci-tag'], 'a, b')
  t.same(targets(), [])
  const references = images.requests.map((line) =>
    new URL(line.split(' ')[1] ?? '', 'http://x').searchParams.get('reference'),
  )
  t.same(references, [DIGEST, 'a', 'b'])
})

t.test('no tag is set if the manifest itself is refused', async (t) => {
  upstream.respond = respondWith(400, {})
  const response = await put(`${DIGEST}?tag=a`)
  t.same([response.status, response.headers['oci-tag']], [400, undefined])
  t.same(targets(), [CANONICAL])
})

t.test('the response to a push is the first error of its tags', async (t) => {
  upstream.respond = (incoming, response, recorded) =>
    respondWith(recorded.url.endsWith('/b') ? 400 : 201, {})(incoming, response, recorded)
  const response = await put(`${DIGEST}?tag=a&tag=b&tag=c`)
  t.same([response.status, response.headers['oci-tag']], [400, undefined])
  t.same(targets(), [CANONICAL, 'a', 'b'])
})

t.test(
  'the response to a push without tags has no OCI-Tag, and a push by tag ignores further tags',
  async (t) => {
    t.equal((await put(DIGEST)).headers['oci-tag'], undefined)
    t.equal((await put('v1?tag=a')).headers['oci-tag'], undefined)
    t.same(targets(), [CANONICAL, 'v1'])
  },
)

t.test('an invalid tag and more than ten tags are refused before anything is sent', async (t) => {
  t.same(
    [(await put(`${DIGEST}?tag=a&tag=.b`)).code, (await put(`${DIGEST}?tag=`)).code],
    ['TAG_INVALID', 'TAG_INVALID'],
  )
  const many = (count: number) => [...Array(count).keys()].map((number) => `tag=t${number}`).join('&')
  t.equal((await put(`${DIGEST}?${many(11)}`)).status, 414)
  t.same([images.requests, targets()], [[], []])
  t.equal((await put(`${DIGEST}?${many(10)}`)).status, 201)
})
