import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { basic, startProxy, until } from './fixtures/proxy.ts'
import { seconds } from './fixtures/tokens.ts'

const { port, auth, upstream, bearer } = await startProxy(t)
const access = [repositoryAccess('team/app', 'pull')]
const pull = async (authorization: string) =>
  (await sendRequest(port, '/v2/team/app/manifests/latest', { authorization })).status

t.test('a revoked token is refused within two polls', async (t) => {
  const old = bearer(access, { gen: 4 })
  t.equal(await pull(old), 200)
  const polls = () => auth.callsOf('/internal/revocations')
  const before = polls()
  auth.revoked.set('uid-alice', 5)
  await until(async () => (await pull(old)) === 401)
  t.ok(polls() - before <= 2, `refused after ${polls() - before} polls`)

  t.equal(await pull(bearer(access, { gen: 5 })), 200, 'the next generation')
  t.equal(
    await pull(bearer(access, { uid: 'uid-bob', gen: 4 })),
    200,
    'another account with the old generation',
  )

  upstream.requests.length = 0
  t.equal(await pull(old), 401)
  t.same(upstream.requests, [])
})

t.test('a token of a deleted personal token is refused, its owner is not', async (t) => {
  const ofToken = (via: string) => bearer(access, { uid: 'uid-jane', gen: 1, kind: 'personal-token', via })
  t.equal(await pull(ofToken('id-laptop')), 200)
  auth.revoked.set('id-laptop', 1)
  await until(async () => (await pull(ofToken('id-laptop'))) === 401)
  t.equal(await pull(ofToken('id-desktop')), 200, 'another personal token of the same owner')
  t.equal(await pull(bearer(access, { uid: 'uid-jane', gen: 1 })), 200, 'the owner')
  auth.revoked.set('uid-jane', 2)
  await until(async () => (await pull(ofToken('id-desktop'))) === 401)
})

t.test('a token is refused once it has expired, although it was accepted before', async (t) => {
  const short = bearer(access, { gen: 5, exp: seconds() + 2 })
  t.equal(await pull(short), 200)
  await until(async () => (await pull(short)) !== 200)
  t.equal(await pull(short), 401)
})

t.test('a proxy responds 503 to all tokens until it has loaded the revocation list', async (t) => {
  const { port, auth, upstream, bearer, internalUrl } = await startProxy(t, { behaviour: 'feedless' })
  const access = [repositoryAccess('team/app', 'pull')]
  auth.accounts.set('alice', { password: 'pw', uid: 'uid-alice', gen: 1, access })
  const path = '/v2/team/app/manifests/latest'

  for (const authorization of [bearer(access), basic('alice', 'pw')]) {
    const response = await sendRequest(port, path, { authorization })
    t.equal(response.status, 503)
    t.equal(response.code, 'UNAVAILABLE')
    t.match(response.headers['retry-after'], /^[1-9]\d*$/)
  }
  t.equal((await sendRequest(port, path, {})).status, 401, 'a request without credentials')
  t.same(upstream.requests, [])
  t.equal((await fetch(`${internalUrl}/readyz`)).status, 503)
  t.equal((await fetch(`${internalUrl}/livez`)).status, 200)

  auth.behaviour = 'up'
  await until(async () => (await fetch(`${internalUrl}/readyz`)).ok)
  t.equal((await sendRequest(port, path, { authorization: bearer(access) })).status, 200)
})
