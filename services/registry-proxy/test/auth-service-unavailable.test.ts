import { setTimeout as sleep } from 'node:timers/promises'
import { repositoryAccess } from '@registry-manager/oci'
import { until } from '@registry-manager/testing/until'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { basic, startProxy } from './fixtures/proxy.ts'
import { createSigningKey, claims, signToken } from './fixtures/tokens.ts'

const { port, auth, upstream, bearer, internalUrl } = await startProxy(t, { revoked: { 'uid-revoked': 2 } })
const access = [repositoryAccess('team/app', 'pull', 'push')]
auth.accounts.set('alice', { password: 'pw', uid: 'uid-alice', gen: 1, access })
const path = '/v2/team/app/manifests/latest'
const readiness = async () => {
  const response = await fetch(`${internalUrl}/readyz`)
  const { parts } = (await response.json()) as { parts: { revocations: { status: string } } }
  return [response.status, parts.revocations.status]
}

t.test('the proxy is ready while auth-service is available', async (t) => {
  t.same(await readiness(), [200, 'ok'])
  // After this request the proxy has the public key.
  t.equal((await sendRequest(port, path, { authorization: bearer(access) })).status, 200)
  upstream.requests.length = 0
  // An unknown key id causes a request for the keys after one second at the earliest.
  await sleep(1100)
})

for (const behaviour of ['down', 'refusing', 'silent'] as const) {
  t.test(
    `while auth-service is ${behaviour}, known tokens work and requests that need auth-service get 503`,
    async (t) => {
      auth.behaviour = behaviour
      t.teardown(() => (auth.behaviour = 'up'))

      t.test('tokens are still verified with the cached public key', async (t) => {
        t.equal((await sendRequest(port, path, { authorization: bearer(access) })).status, 200)
        t.equal(upstream.requests.splice(0).length, 1)
        const revoked = bearer(access, { uid: 'uid-revoked', gen: 1 })
        t.equal((await sendRequest(port, path, { authorization: revoked })).status, 401)
        const other = await sendRequest(port, '/v2/other/app/manifests/v1', { authorization: bearer(access) })
        t.equal(other.status, 401, 'the client is sent for another token')
      })

      t.test('an anonymous principal still gets a challenge for a write', async (t) => {
        const anybody = { sub: '', uid: 'anonymous', gen: 0 }
        const authorization = bearer([repositoryAccess('team/app', 'pull')], anybody)
        t.equal((await sendRequest(port, path, { authorization })).status, 200)
        t.equal(upstream.requests.splice(0).length, 1)
        const refused = await sendRequest(port, path, { authorization, method: 'PUT', body: '{}' })
        t.equal(refused.status, 401)
        t.match(
          refused.headers['www-authenticate'],
          /scope="repository:team\/app:pull,push",error="insufficient_scope"/,
        )
      })

      const unknownKey = `Bearer ${signToken(createSigningKey('next'), claims(access))}`
      const pushOnly = bearer([repositoryAccess('team/app', 'push')])
      // At the same time, because each request waits for its timeout if auth-service is silent.
      const pullOnly = bearer([repositoryAccess('team/app', 'pull')])
      const undecided = await Promise.all([
        sendRequest(port, path, { authorization: unknownKey }),
        sendRequest(port, path, { authorization: basic('alice', 'pw') }),
        sendRequest(port, path, { authorization: pushOnly, method: 'PUT', body: '{}' }),
        sendRequest(port, path, { authorization: pullOnly, method: 'DELETE' }),
        sendRequest(port, '/v2/team/app/blobs/uploads/', { authorization: pullOnly, method: 'POST' }),
        sendRequest(port, '/v2/_catalog', { authorization: pullOnly }),
      ])
      const names = [
        'a token with an unknown key',
        'a password',
        'a push that needs a service token',
        ...['a deletion', 'an upload', 'the catalog'].map(
          (what) => `${what} with a token that permits pulls only`,
        ),
      ]
      t.test('the response to a password names the unavailable dependency', async (t) => {
        const response = undecided[1]
        const { message } = JSON.parse(response.body.toString()).errors[0]
        const expected =
          behaviour === 'refusing' ? 'the database is unavailable (request its-id)' : 'auth-service is'
        t.match(message, expected)
        t.equal(response.headers['retry-after'], behaviour === 'refusing' ? '7' : '5')
      })
      for (const [index, response] of undecided.entries()) {
        t.test(`${names[index]} is 503 with Retry-After`, async (t) => {
          t.equal(response.status, 503)
          t.equal(response.code, 'UNAVAILABLE')
          t.match(response.headers['retry-after'], /^[1-9]\d*$/)
          t.equal(response.headers['www-authenticate'], undefined, 'no challenge: a new token would not help')
          t.equal(response.headers['docker-distribution-api-version'], 'registry/2.0')
          t.same(upstream.requests, [])
        })
      }
    },
  )
}

t.test(
  'the proxy stays ready, but reports that it is degraded, while auth-service is unavailable',
  async (t) => {
    auth.behaviour = 'down'
    t.teardown(() => (auth.behaviour = 'up'))
    await until(async () => (await readiness())[1] === 'degraded')
    t.same(await readiness(), [200, 'degraded'])
  },
)

t.test('passwords work again once auth-service is available', async (t) => {
  t.equal((await sendRequest(port, path, { authorization: basic('alice', 'pw') })).status, 200)
})
