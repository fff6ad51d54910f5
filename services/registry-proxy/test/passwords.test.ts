import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { DIRECTORY_USER } from './fixtures/fake-auth-service.ts'
import { basic, startProxy, until } from './fixtures/proxy.ts'

const { port, auth, upstream, bearer, log } = await startProxy(t)
const access = [repositoryAccess('team/app', 'pull', 'push')]
const alice = { password: 'pw', uid: 'uid-alice', gen: 1, access }
auth.accounts.set('alice', alice)
const authorization = basic('alice', 'pw')
const path = '/v2/team/app/manifests/latest'
const exchanges = () => auth.callsOf('/internal/token-exchanges')

const sentClaims = () => {
  const [, payload = ''] = upstream.requests.at(-1)?.headers.authorization?.split('.') ?? []
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
}

t.test('a password is exchanged once for many requests', async (t) => {
  for (const _ of [1, 2, 3]) t.equal((await sendRequest(port, path, { authorization })).status, 200)
  t.equal(exchanges(), 1)
  t.equal(sentClaims().uid, 'uid-alice')
})

t.test('a wrong password is refused although the right one is cached', async (t) => {
  const before = upstream.requests.length
  const response = await sendRequest(port, path, { authorization: basic('alice', 'wrong') })
  t.equal(response.status, 401)
  t.match(response.headers['www-authenticate'], /^Bearer realm=".*",scope="repository:team\/app:pull"$/)
  t.equal(upstream.requests.length, before)
})

t.test('a password is exchanged again if its cached token is revoked', async (t) => {
  const old = bearer([], { gen: 1 })
  alice.gen = 2
  auth.revoked.set('uid-alice', 2)
  await until(async () => (await sendRequest(port, '/v2/', { authorization: old })).status === 401)
  const before = exchanges()
  t.equal((await sendRequest(port, path, { authorization })).status, 200)
  t.equal(exchanges(), before + 1)
  t.equal(sentClaims().gen, 2)
})

t.test('an old password is refused although it is cached', async (t) => {
  t.equal((await sendRequest(port, path, { authorization })).status, 200)
  const last = bearer([], { gen: 2 })
  auth.accounts.set('alice', { ...alice, password: 'new', gen: 3 })
  auth.revoked.set('uid-alice', 3)
  await until(async () => (await sendRequest(port, '/v2/', { authorization: last })).status === 401)
  t.equal((await sendRequest(port, path, { authorization })).status, 401)
  t.equal((await sendRequest(port, path, { authorization: basic('alice', 'new') })).status, 200)
})

t.test('too many wrong passwords are 429 with Retry-After', async (t) => {
  upstream.requests.length = 0
  auth.throttledForSeconds = 17
  const response = await sendRequest(port, path, { authorization: basic('bob', 'pw') })
  t.equal(response.status, 429)
  t.equal(response.code, 'TOOMANYREQUESTS')
  t.equal(response.headers['retry-after'], '17')
  t.equal(response.headers['docker-distribution-api-version'], 'registry/2.0')
  t.same(upstream.requests, [])
})

t.test('the log contains no password, no token and no query', async (t) => {
  const authorization = bearer(access, { gen: 3 })
  await sendRequest(port, `${path}?secret=in-the-query`, { authorization })
  await sendRequest(port, `/v2/team/app/blobs/uploads/u?_binding=in-the-binding`, {
    authorization,
    method: 'PATCH',
  })
  const lines = log.join('')
  t.match(lines, path, 'the log contains the path')
  for (const secret of [
    basic('alice', 'pw').slice(6),
    authorization.slice(7),
    'in-the-query',
    'in-the-binding',
  ]) {
    t.notOk(lines.includes(secret), secret)
  }
})

t.test('a directory user is 503, not 401, while the directory is unavailable', async (t) => {
  upstream.requests.length = 0
  for (const [method, path] of [
    ['GET', '/v2/'],
    ['GET', '/v2/team/app/manifests/latest'],
    ['POST', '/v2/team/app/blobs/uploads/'],
  ] as const) {
    const response = await sendRequest(port, path, {
      method,
      authorization: basic(DIRECTORY_USER, 'a-password'),
    })
    t.equal(response.status, 503, path)
    t.equal(response.code, 'UNAVAILABLE')
    t.match(String(response.body), 'the directory is unavailable')
    t.match(response.headers['retry-after'], /^[1-9]\d*$/)
    t.equal(response.headers['www-authenticate'], undefined)
  }
  t.same(upstream.requests, [], 'nothing reached the registry')
})
