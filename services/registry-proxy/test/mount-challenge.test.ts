import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { startProxy } from './fixtures/proxy.ts'
import { DIGEST, SHA512 } from './fixtures/requests.ts'
import { sendRequest } from './fixtures/send-request.ts'

const { port, auth, upstream, bearer } = await startProxy(t)
const user = (namespaces: string[], role = 'user') => ({ kind: 'user', role, namespaces, generation: 1 })
const onlyTarget = bearer([repositoryAccess('team/app', 'pull', 'push')])
const mount = (authorization: string, digest = DIGEST) =>
  sendRequest(port, `/v2/team/app/blobs/uploads/?mount=${digest}&from=base/alpine`, {
    method: 'POST',
    authorization,
  })
const scopeOf = (name: string) => ({ type: 'repository', name, actions: ['pull'] })
t.beforeEach(() => {
  upstream.requests.length = 0
  auth.rights.clear()
})

t.test(
  'a mount by a token without the source repository is challenged for both if the account has the source',
  async (t) => {
    for (const [uid, rights] of Object.entries({
      'uid-user': user(['team', 'base']),
      'uid-administrator': user([], 'cluster-administrator'),
      'uid-token': { kind: 'token', scopes: [scopeOf('base/*')], generation: 1 },
    })) {
      auth.rights.set(uid, rights)
      const response = await mount(bearer([repositoryAccess('team/app', 'pull', 'push')], { uid }))
      t.equal(response.status, 401)
      t.match(
        response.headers['www-authenticate'],
        /scope="repository:team\/app:pull,push repository:base\/alpine:pull",error="insufficient_scope"$/,
      )
      t.same(upstream.requests, [])
    }
  },
)

t.test('a token for both repositories permits the mount', async (t) => {
  auth.rights.set('uid-alice', user(['team', 'base']))
  const both = [repositoryAccess('team/app', 'pull', 'push'), repositoryAccess('base/alpine', 'pull')]
  await mount(bearer(both))
  t.match(upstream.only().url, `mount=${encodeURIComponent(DIGEST)}`)
})

t.test('the blob is uploaded if a challenge could not help', async (t) => {
  for (const [why, rights, digest] of [
    ['the account lacks the source', user(['team']), DIGEST],
    ['there is no account', undefined, DIGEST],
    ['distribution cannot mount by sha512', user(['team', 'base']), SHA512],
  ] as const) {
    upstream.requests.length = 0
    const uid = `uid-${why}`
    if (rights !== undefined) auth.rights.set(uid, rights)
    await mount(bearer([repositoryAccess('team/app', 'pull', 'push')], { uid }), digest)
    t.notMatch(upstream.only().url, 'mount', why)
  }
})

t.test('a personal token is challenged only for access that its scopes permit', async (t) => {
  const limited = (name: string) => ({ ...user(['team', 'base']), limitedTo: [scopeOf(name)] })
  auth.rights.set('uid-jane/via/wide', limited('base/*')).set('uid-jane/via/narrow', limited('team/*'))
  const ofToken = (via: string) =>
    bearer([repositoryAccess('team/app', 'pull', 'push')], { uid: 'uid-jane', kind: 'personal-token', via })
  t.equal((await mount(ofToken('wide'))).status, 401)
  t.same(upstream.requests, [])
  await mount(ofToken('narrow'))
  t.notMatch(upstream.only().url, 'mount')
})

t.test('the blob is uploaded while auth-service is unavailable', async (t) => {
  auth.behaviour = 'down'
  const response = await mount(onlyTarget)
  t.equal(response.status, 200, response.body.toString())
  t.notMatch(upstream.only().url, 'mount')
})
