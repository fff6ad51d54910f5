import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { ask } from './fixtures/ask.ts'
import { basic, startProxy } from './fixtures/proxy.ts'
import { createSigningKey, claims, signToken } from './fixtures/tokens.ts'

let ahead = 0
const { port, auth, upstream, bearer, internalUrl } = await startProxy(t, {
  revoked: { 'uid-revoked': 2 },
  now: () => Date.now() + ahead,
})
const access = [repositoryAccess('team/app', 'pull', 'push')]
auth.accounts.set('alice', { password: 'pw', uid: 'uid-alice', gen: 1, access })
const path = '/v2/team/app/manifests/latest'
const readiness = async () => {
  const response = await fetch(`${internalUrl}/readyz`)
  const { parts } = (await response.json()) as { parts: { revocations: { status: string } } }
  return [response.status, parts.revocations.status]
}

t.test('while it is there, all is well', async (t) => {
  t.same(await readiness(), [200, 'ok'])
  // From here on the public key is known.
  t.equal((await ask(port, path, { authorization: bearer(access) })).status, 200)
  upstream.requests.length = 0
  ahead = 10_000
})

for (const behaviour of ['down', 'refusing', 'silent'] as const) {
  t.test(`while auth-service is ${behaviour}`, async (t) => {
    auth.behaviour = behaviour
    t.teardown(() => (auth.behaviour = 'up'))

    t.test('tokens go on being authorized, for the key is known', async (t) => {
      t.equal((await ask(port, path, { authorization: bearer(access) })).status, 200)
      t.equal(upstream.requests.splice(0).length, 1)
      const revoked = bearer(access, { uid: 'uid-revoked', gen: 1 })
      t.equal((await ask(port, path, { authorization: revoked })).status, 401)
      const other = await ask(port, '/v2/other/app/manifests/v1', { authorization: bearer(access) })
      t.equal(other.status, 401, 'another token may pull this')
    })

    t.test('nobody in particular is told what to ask for, as ever', async (t) => {
      const anybody = { sub: '', uid: 'anonymous', gen: 0 }
      const authorization = bearer([repositoryAccess('team/app', 'pull')], anybody)
      t.equal((await ask(port, path, { authorization })).status, 200)
      t.equal(upstream.requests.splice(0).length, 1)
      const refused = await ask(port, path, { authorization, method: 'PUT', body: '{}' })
      t.equal(refused.status, 401)
      t.match(
        refused.headers['www-authenticate'],
        /scope="repository:team\/app:pull,push",error="insufficient_scope"/,
      )
    })

    const unknownKey = `Bearer ${signToken(createSigningKey('next'), claims(access))}`
    const pushOnly = bearer([repositoryAccess('team/app', 'push')])
    // At once, for each waits for its deadline where there is silence.
    const pullOnly = bearer([repositoryAccess('team/app', 'pull')])
    const undecided = await Promise.all([
      ask(port, path, { authorization: unknownKey }),
      ask(port, path, { authorization: basic('alice', 'pw') }),
      ask(port, path, { authorization: pushOnly, method: 'PUT', body: '{}' }),
      ask(port, path, { authorization: pullOnly, method: 'DELETE' }),
      ask(port, '/v2/team/app/blobs/uploads/', { authorization: pullOnly, method: 'POST' }),
      ask(port, '/v2/_catalog', { authorization: pullOnly }),
    ])
    const names = [
      'a token of an unknown key',
      'a password',
      'what takes a token of our own',
      ...['a deletion', 'an upload', 'the catalog'].map((what) => `${what}, by a token that only pulls,`),
    ]
    for (const [index, answer] of undecided.entries()) {
      t.test(`${names[index]} is answered with 503`, async (t) => {
        t.equal(answer.status, 503)
        t.equal(answer.code, 'UNAVAILABLE')
        t.match(answer.headers['retry-after'], /^[1-9]\d*$/)
        t.equal(answer.headers['www-authenticate'], undefined, 'nobody is sent for a new token')
        t.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0')
        t.same(upstream.requests, [])
      })
    }
  })
}

t.test('the proxy is ready all the same, and says that it is degraded', async (t) => {
  auth.behaviour = 'down'
  t.teardown(() => (auth.behaviour = 'up'))
  ahead += 10_000
  t.same(await readiness(), [200, 'degraded'])
})

t.test('once it is back everything goes on', async (t) => {
  t.equal((await ask(port, path, { authorization: basic('alice', 'pw') })).status, 200)
})
