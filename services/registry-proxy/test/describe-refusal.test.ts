import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { basic, startProxy } from './fixtures/proxy.ts'
import { sendRequest } from './fixtures/send-request.ts'

const { port, auth, images, bearer } = await startProxy(t)
const pull = repositoryAccess('team/app', 'pull')
const grant = (actions: string[], conditions?: object) => {
  return { id: 'g-1', repositories: 'team/*', actions, ...(conditions && { conditions }) }
}
/** Gives alice another account with these grants, and another password: rights and tokens are cached. */
let [uid, password] = ['', '']
function setGrants(...grants: readonly object[]) {
  uid = `uid-alice-${auth.rights.size}`
  password = `pw-${auth.rights.size}`
  auth.accounts.set('alice', { password, uid, gen: 1, access: [pull] })
  auth.rights.set(uid, { kind: 'user', role: 'user', namespaces: [], grants, generation: 1 })
}
setGrants(grant(['pull']))

/** Status, message and detail of a refusal. */
async function refusalOf(method: string, path: string, authorization?: string) {
  const response = await sendRequest(port, path, { method, ...(authorization && { authorization }) })
  const [{ message, detail }] = JSON.parse(response.body.toString()).errors
  return { status: response.status, message, detail }
}
const PUSH = '/v2/team/app/blobs/uploads/'
const EXPLAIN = 'https://registry.test/access/explain?account=alice&repository=team/app&action=push'

t.test(
  'a refused push names the missing right, the principals who can grant it, and the URL of an explanation',
  async (t) => {
    t.strictSame(await refusalOf('POST', PUSH, basic('alice', password)), {
      status: 403,
      message: 'this account may not push to team/app, only pull',
      detail: {
        required: 'repository:team/app:pull,push',
        permitted: 'repository:team/app:pull',
        help: 'an owner or administrator of team, or a cluster administrator, can grant the role developer for team/app',
        explain: EXPLAIN,
      },
    })
    const withToken = await refusalOf('POST', PUSH, bearer([pull], { uid }))
    t.match(withToken, { status: 401, message: 'this account may not push to team/app, only pull' })
  },
)

t.test('a token that permits less than its account is refused with the scope to request', async (t) => {
  setGrants(grant(['pull', 'push']))
  const message =
    'the token does not permit pushing to team/app; request one with the scope repository:team/app:pull,push'
  t.match(await refusalOf('POST', PUSH, bearer([pull], { uid })), { status: 401, message })
  const catalog =
    'the token does not permit listing repositories; request one with the scope registry:catalog:*'
  t.match(await refusalOf('GET', '/v2/_catalog', bearer([pull], { uid })), { status: 401, message: catalog })
})

t.test(
  'the refusal of a personal token names its scopes, and does not advise to request a scope',
  async (t) => {
    setGrants(grant(['pull', 'push']))
    const limitedTo = [repositoryAccess('team/app', 'pull')]
    auth.rights.set(`${uid}/via/laptop`, { ...auth.rights.get(uid), limitedTo } as never)
    const ofToken = bearer([pull], { uid, kind: 'personal-token', via: 'laptop' })
    t.match(await refusalOf('POST', PUSH, ofToken), {
      status: 401,
      message: 'the scopes of this personal token do not permit pushing to team/app',
      detail: { permitted: 'repository:team/app:pull', help: /^use a personal token whose scopes include/ },
    })
  },
)

t.test('a refusal names the condition that does not hold', async (t) => {
  setGrants(grant(['pull', 'push'], { notAfter: '2020-01-01T00:00:00.000Z' }))
  t.match(await refusalOf('POST', PUSH, basic('alice', password)), {
    status: 403,
    message: 'the right to push to team/app has a condition: it ended at 2020-01-01T00:00:00.000Z',
    detail: { help: /can change the condition$/, explain: EXPLAIN },
  })
  const elsewhere = bearer([{ ...pull, networks: ['192.0.2.0/24'] }], { uid })
  t.match(await refusalOf('GET', '/v2/team/app/tags/list', elsewhere), {
    status: 403,
    message: 'this access is limited to clients in 192.0.2.0/24',
    detail: { permitted: '', help: /^send the request from one of these networks/ },
  })
  const tagged = bearer([{ ...repositoryAccess('team/app', 'push'), tags: 'v*' }], { uid })
  t.match(await refusalOf('PUT', '/v2/team/app/manifests/latest', tagged), {
    status: 403,
    message: 'the tag latest may not be pushed; this access is limited to tags that match v*',
    detail: { explain: `${EXPLAIN}&tag=latest` },
  })
})

t.test('a refusal names the condition of a personal token, and the token in its explanation', async (t) => {
  setGrants(grant(['pull', 'push']))
  const conditions = { networks: ['192.0.2.0/24'] }
  auth.rights.set(`${uid}/via/laptop`, { ...auth.rights.get(uid), conditions } as never)
  const ofToken = bearer([pull], { uid, kind: 'personal-token', via: 'laptop' })
  const { status, message, detail } = await refusalOf('POST', PUSH, ofToken)
  t.equal(status, 401)
  t.equal(message, 'this token has a condition: it applies to clients in 192.0.2.0/24 only')
  t.match(detail, { explain: /&token=laptop$/, help: /^send the request from a permitted network/ })
})

t.test('the refusal of a right password names the condition that does not hold', async (t) => {
  const refusedBecause = 'the token may not be used under these conditions: it ended at noon'
  auth.accounts.set('robot', { password: 'pw', uid: 'uid-robot', gen: 1, access: [pull], refusedBecause })
  t.match(await refusalOf('POST', PUSH, basic('robot', 'pw')), {
    status: 401,
    message: `authentication required: ${refusedBecause}`,
  })
})

t.test(
  'missing and wrong credentials are refused with the way to sign in, and nothing about accounts',
  async (t) => {
    const help = 'send a username and a password, or an access token from https://registry.test/auth/v2/token'
    const cases = [
      [undefined, 'authentication required'],
      [basic('alice', 'wrong'), 'authentication required: the username or the password is wrong'],
      [basic('nobody', 'wrong'), 'authentication required: the username or the password is wrong'],
      ['Bearer nonsense', 'authentication required: the token is invalid, expired or revoked'],
    ] as const
    for (const [authorization, message] of cases) {
      const detail = { required: 'repository:team/app:pull,push', permitted: '', help }
      t.strictSame(await refusalOf('POST', PUSH, authorization), { status: 401, message, detail })
    }
  },
)

t.test(
  'the refusal of an anonymous client asks for a sign-in, and has no URL of an explanation',
  async (t) => {
    const anonymous = bearer([pull], { uid: 'anonymous', sub: '' })
    const refused = await refusalOf('POST', PUSH, anonymous)
    t.match(refused, { status: 401, message: 'sign in to push to team/app' })
    t.notOk('explain' in refused.detail)
  },
)

t.test('a refusal is written without asking whether the repository exists', async (t) => {
  setGrants()
  const before = images.requests.length
  for (const authorization of [basic('alice', password), bearer([pull], { uid })]) {
    for (const [method, rest] of [
      ['GET', 'tags/list'],
      ['POST', 'blobs/uploads/'],
      ['DELETE', 'manifests/latest'],
    ] as const) {
      const [one, other] = await Promise.all(
        ['far/real', 'far/none'].map((name) => refusalOf(method, `/v2/${name}/${rest}`, authorization)),
      )
      t.equal(JSON.stringify(one).replaceAll('far/real', 'far/none'), JSON.stringify(other))
    }
  }
  t.equal(images.requests.length, before)
})
