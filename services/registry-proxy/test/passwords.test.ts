import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { ask } from './fixtures/ask.ts'
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
  for (const _ of [1, 2, 3]) t.equal((await ask(port, path, { authorization })).status, 200)
  t.equal(exchanges(), 1)
  t.equal(sentClaims().uid, 'uid-alice')
})

t.test('a wrong one beside the remembered one is authorized for itself', async (t) => {
  const before = upstream.requests.length
  const answer = await ask(port, path, { authorization: basic('alice', 'wrong') })
  t.equal(answer.status, 401)
  t.match(answer.headers['www-authenticate'], /^Bearer realm=".*",scope="repository:team\/app:pull"$/)
  t.equal(upstream.requests.length, before)
})

t.test('a remembered token that was revoked is exchanged anew', async (t) => {
  const old = bearer([], { gen: 1 })
  alice.gen = 2
  auth.revoked.set('uid-alice', 2)
  await until(async () => (await ask(port, '/v2/', { authorization: old })).status === 401)
  const before = exchanges()
  t.equal((await ask(port, path, { authorization })).status, 200)
  t.equal(exchanges(), before + 1)
  t.equal(sentClaims().gen, 2)
})

t.test('a password that was changed is refused, remembered or not', async (t) => {
  t.equal((await ask(port, path, { authorization })).status, 200)
  const last = bearer([], { gen: 2 })
  auth.accounts.set('alice', { ...alice, password: 'new', gen: 3 })
  auth.revoked.set('uid-alice', 3)
  await until(async () => (await ask(port, '/v2/', { authorization: last })).status === 401)
  t.equal((await ask(port, path, { authorization })).status, 401)
  t.equal((await ask(port, path, { authorization: basic('alice', 'new') })).status, 200)
})

t.test('too many wrong passwords are told, with the time to wait', async (t) => {
  upstream.requests.length = 0
  auth.throttledForSeconds = 17
  const answer = await ask(port, path, { authorization: basic('bob', 'pw') })
  t.equal(answer.status, 429)
  t.equal(answer.code, 'TOOMANYREQUESTS')
  t.equal(answer.headers['retry-after'], '17')
  t.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0')
  t.same(upstream.requests, [])
})

t.test('the log holds no password, no token and no query', async (t) => {
  const authorization = bearer(access, { gen: 3 })
  await ask(port, `${path}?secret=in-the-query`, { authorization })
  await ask(port, `/v2/team/app/blobs/uploads/u?_binding=in-the-binding`, { authorization, method: 'PATCH' })
  const lines = log.join('')
  t.match(lines, path, 'the path is there')
  for (const secret of [
    basic('alice', 'pw').slice(6),
    authorization.slice(7),
    'in-the-query',
    'in-the-binding',
  ]) {
    t.notOk(lines.includes(secret), secret)
  }
})

t.test('one that a directory has, which is away: 503, and no word of a wrong password', async (t) => {
  upstream.requests.length = 0
  for (const [method, path] of [
    ['GET', '/v2/'],
    ['GET', '/v2/team/app/manifests/latest'],
    ['POST', '/v2/team/app/blobs/uploads/'],
  ] as const) {
    const answer = await ask(port, path, { method, authorization: basic(DIRECTORY_USER, 'a-password') })
    t.equal(answer.status, 503, path)
    t.equal(answer.code, 'UNAVAILABLE')
    t.match(String(answer.body), 'the directory is unavailable')
    t.match(answer.headers['retry-after'], /^[1-9]\d*$/)
    t.equal(answer.headers['www-authenticate'], undefined)
  }
  t.same(upstream.requests, [], 'nothing reaches the registry')
})
