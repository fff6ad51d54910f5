import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { ask } from './fixtures/ask.ts'
import { startProxy } from './fixtures/proxy.ts'
import { answerOk, answerWith } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, upstream, bearer } = await startProxy(t)
const access = ['team/app', 'team/other'].map((name) => repositoryAccess(name, 'pull', 'push', 'delete'))
const alice = bearer(access)
const bob = bearer(access, { sub: 'bob', uid: 'uid-bob' })
const registered = '/v2/team/app/blobs/uploads/3f6c?_state=st-a_te%3D%3D'

upstream.answer = answerWith(202, {
  location: new URL(registered, upstream.url).href,
  'docker-upload-uuid': '3f6c',
  range: '0-0',
})
const begun = await ask(port, '/v2/team/app/blobs/uploads/', {
  method: 'POST',
  authorization: alice,
  body: '',
})
const { location = '' } = begun.headers
upstream.requests.length = 0
upstream.answer = answerOk

t.test('an upload begins with a Location that says whose it is', async (t) => {
  t.equal(begun.status, 202)
  t.ok(location.startsWith(`${registered}&_binding=`), location)
  t.equal(begun.headers['docker-upload-uuid'], '3f6c')
  t.equal(begun.headers.range, '0-0')
})

const METHODS: readonly [string, string][] = [
  ['GET', ''],
  ['HEAD', ''],
  ['PATCH', ''],
  ['PUT', `&digest=${DIGEST}`],
  ['DELETE', ''],
]

for (const [method, more] of METHODS) {
  t.test(`${method} is for who began it`, async (t) => {
    const answer = await ask(port, location + more, { method, authorization: alice })
    t.equal(answer.status, 200)
    const { url } = upstream.only()
    upstream.requests.length = 0
    t.ok(
      url.startsWith('/v2/team/app/blobs/uploads/3f6c?_state=st-a_te%3D%3D'),
      'the state as the registry gave it',
    )
    t.notMatch(url, '_binding')
  })

  const binding = location.slice(location.indexOf('_binding='))
  const FOREIGN: readonly [string, string, string][] = [
    ['another account', location, bob],
    ['no binding', registered, alice],
    ['an empty binding', `${registered}&_binding=`, alice],
    ['a garbled binding', location.slice(0, -2), alice],
    ['another upload', location.replace('3f6c', '3f6d'), alice],
    ['another repository', location.replace('team/app', 'team/other'), alice],
    ['a binding before the good one', `${registered}&_binding=x&${binding}`, alice],
  ]
  for (const [what, target, authorization] of FOREIGN) {
    t.test(`${method} with ${what} knows of no upload`, async (t) => {
      const answer = await ask(port, target + more, { method, authorization })
      t.equal(answer.status, 404)
      if (method !== 'HEAD') t.equal(answer.code, 'BLOB_UPLOAD_UNKNOWN')
      t.same(upstream.requests, [])
    })
  }
}

t.test('a Location in the middle of an upload is bound as well', async (t) => {
  upstream.answer = answerWith(202, { location: '/v2/team/app/blobs/uploads/3f6c?_state=next', range: '0-2' })
  const answer = await ask(port, location, { method: 'PATCH', authorization: alice, body: 'abc' })
  t.match(answer.headers.location, /^\/v2\/team\/app\/blobs\/uploads\/3f6c\?_state=next&_binding=[\w-]{43}$/)
})
