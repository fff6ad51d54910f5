import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { basic, startProxy } from './fixtures/proxy.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, auth, upstream, bearer } = await startProxy(t)
const pull = repositoryAccess('team/app', 'pull')
const app = '/v2/team/app'

/** Requests that are more than a pull. */
const WRITES: readonly (readonly [method: string, target: string])[] = [
  ['PUT', `${app}/manifests/latest`],
  ['DELETE', `${app}/manifests/latest`],
  ['DELETE', `${app}/blobs/${DIGEST}`],
  ['POST', `${app}/blobs/uploads/`],
  ['POST', `${app}/blobs/uploads/?mount=${DIGEST}&from=team/base`],
  ['PATCH', `${app}/blobs/uploads/u1`],
  ['PUT', `${app}/blobs/uploads/u1?digest=${DIGEST}`],
  ['DELETE', `${app}/blobs/uploads/u1`],
  ['GET', '/v2/_catalog'],
]

t.test(
  'an offline token is 503 for more than a pull, even when the database is available again',
  async (t) => {
    auth.accounts.set('alice', { password: 'pw', uid: 'uid-alice', gen: 1, access: [pull], offline: true })
    for (const [what, authorization] of [
      ['a token', bearer([pull], { offline: true })],
      ['a password', basic('alice', 'pw')],
    ] as const) {
      for (const [method, target] of WRITES) {
        const response = await sendRequest(port, target, { method, authorization })
        t.equal(response.status, 503, `${method} ${target} by ${what}`)
        t.equal(response.code, 'UNAVAILABLE')
        t.match(response.headers['retry-after'], /^[1-9]\d*$/)
        t.equal(response.headers['www-authenticate'], undefined)
      }
    }
    t.same(upstream.requests, [])
  },
)

t.test(
  'an offline token pulls from the repository that it permits, and is challenged for another one',
  async (t) => {
    const authorization = bearer([pull], { offline: true })
    t.equal((await sendRequest(port, `${app}/manifests/latest`, { authorization })).status, 200)
    t.equal(upstream.requests.splice(0).length, 1)
    const other = await sendRequest(port, '/v2/team/other/manifests/latest', { authorization })
    t.equal(other.status, 401)
    t.match(
      other.headers['www-authenticate'],
      /scope="repository:team\/other:pull",error="insufficient_scope"/,
    )
  },
)

t.test('a token without the offline claim is 401 for more than a pull', async (t) => {
  for (const offline of [undefined, false, 'true', 1]) {
    const authorization = bearer([pull], { offline })
    const response = await sendRequest(port, `${app}/manifests/latest`, { method: 'DELETE', authorization })
    t.equal(response.status, 401, `offline: ${offline}`)
  }
})

t.test(
  'a password that was exchanged for an offline token is exchanged again for the next request',
  async (t) => {
    auth.accounts.set('bob', { password: 'pw', uid: 'uid-bob', gen: 1, access: [pull], offline: true })
    const push = () =>
      sendRequest(port, `${app}/manifests/latest`, {
        method: 'PUT',
        authorization: basic('bob', 'pw'),
        body: '{}',
      })
    t.equal((await push()).status, 503)
    const access = [repositoryAccess('team/app', 'pull', 'push')]
    auth.accounts.set('bob', { password: 'pw', uid: 'uid-bob', gen: 1, access })
    t.equal((await push()).status, 200)
  },
)
