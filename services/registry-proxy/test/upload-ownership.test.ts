import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { startProxy } from './fixtures/proxy.ts'
import { respondOk, respondWith } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, upstream, bearer } = await startProxy(t)
const access = ['team/app', 'team/other'].map((name) => repositoryAccess(name, 'pull', 'push', 'delete'))
const alice = bearer(access)
const bob = bearer(access, { sub: 'bob', uid: 'uid-bob' })
const registered = '/v2/team/app/blobs/uploads/3f6c?_state=st-a_te%3D%3D'

upstream.respond = respondWith(202, {
  location: new URL(registered, upstream.url).href,
  'docker-upload-uuid': '3f6c',
  range: '0-0',
})
const started = await sendRequest(port, '/v2/team/app/blobs/uploads/', {
  method: 'POST',
  authorization: alice,
  body: '',
})
const { location = '' } = started.headers
upstream.requests.length = 0
upstream.respond = respondOk

t.test('the Location of a new upload contains its binding', async (t) => {
  t.equal(started.status, 202)
  t.ok(location.startsWith(`${registered}&_binding=`), location)
  t.equal(started.headers['docker-upload-uuid'], '3f6c')
  t.equal(started.headers.range, '0-0')
})

const METHODS: readonly [string, string][] = [
  ['GET', ''],
  ['HEAD', ''],
  ['PATCH', ''],
  ['PUT', `&digest=${DIGEST}`],
  ['DELETE', ''],
]

for (const [method, more] of METHODS) {
  t.test(`${method} of an upload is permitted for the account that started it`, async (t) => {
    const response = await sendRequest(port, location + more, { method, authorization: alice })
    t.equal(response.status, 200)
    const { url } = upstream.only()
    upstream.requests.length = 0
    t.ok(url.startsWith('/v2/team/app/blobs/uploads/3f6c?_state=st-a_te%3D%3D'), 'the state is unchanged')
    t.notMatch(url, '_binding')
  })

  const binding = location.slice(location.indexOf('_binding='))
  const FOREIGN: readonly [string, string, string][] = [
    ['another account', location, bob],
    ['no binding', registered, alice],
    ['an empty binding', `${registered}&_binding=`, alice],
    ['a truncated binding', location.slice(0, -2), alice],
    ['another upload', location.replace('3f6c', '3f6d'), alice],
    ['another repository', location.replace('team/app', 'team/other'), alice],
    ['another binding before the valid one', `${registered}&_binding=x&${binding}`, alice],
  ]
  for (const [what, target, authorization] of FOREIGN) {
    t.test(`${method} of an upload with ${what} is 404`, async (t) => {
      const response = await sendRequest(port, target + more, { method, authorization })
      t.equal(response.status, 404)
      if (method !== 'HEAD') t.equal(response.code, 'BLOB_UPLOAD_UNKNOWN')
      t.same(upstream.requests, [])
    })
  }
}

t.test('the Location after a chunk contains the binding', async (t) => {
  upstream.respond = respondWith(202, {
    location: '/v2/team/app/blobs/uploads/3f6c?_state=next',
    range: '0-2',
  })
  const response = await sendRequest(port, location, { method: 'PATCH', authorization: alice, body: 'abc' })
  t.match(
    response.headers.location,
    /^\/v2\/team\/app\/blobs\/uploads\/3f6c\?_state=next&_binding=[\w-]{43}$/,
  )
})
