import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { SERVICE_CREDENTIAL, claimsOf, startAuthService } from '../fixtures/auth-service.ts'

const { ask, askInternal, clock, users } = await startAuthService(t, await pgliteForTest(t))

const SCOPE = 'repository:team/app:pull,push'
const identityOf = async (as: string): Promise<string> =>
  (await ask({ url: '/auth/v2/token', as })).json().token
const scopedOf = async (as: string): Promise<string> =>
  (await ask({ url: `/auth/v2/token?scope=${SCOPE}`, as })).json().token
const exchange = (bearer: string, query = `scope=${SCOPE}`) => ask({ url: `/auth/v2/token?${query}`, bearer })

t.test('an identity token yields access tokens of its account', async (t) => {
  const response = await exchange(await identityOf('alice'))
  t.equal(response.statusCode, 200)
  t.equal(response.headers['cache-control'], 'no-store')
  const access = [{ type: 'repository', name: 'team/app', actions: ['pull', 'push'] }]
  t.match(claimsOf(response.json().token), { sub: 'alice', access })
  const more = await exchange(await identityOf('alice'), 'scope=repository:other/app:pull')
  t.strictSame(claimsOf(more.json().token).access, [], 'within the rights of the account')
})

t.test('access tokens from an identity token expire no later than it does', async (t) => {
  const identity = await identityOf('alice')
  clock.ahead = 200_000
  const { token, expires_in } = (await exchange(identity)).json()
  clock.ahead = 0
  const [given, own] = [claimsOf(token), claimsOf(identity)]
  t.ok(given.iat >= own.iat + 200, 'issued later')
  t.equal(given.exp, own.exp)
  t.ok(expires_in <= given.exp - given.iat && expires_in > given.exp - given.iat - 6)
})

t.test('an identity token yields an identity token that expires no later, at every path', async (t) => {
  const identity = await identityOf('alice')
  clock.ahead = 200_000
  const queries = ['', '?scope=', '?service=token-service', '?offline_token=true&client_id=docker']
  for (const path of ['/auth/v2/token', '/auth/v2/token/', '/image-manager/api/v1/auth/token']) {
    for (const query of queries) {
      const response = await ask({ url: path + query, bearer: identity })
      t.equal(response.statusCode, 200, path + query)
      const { token, refresh_token: refreshToken } = response.json()
      t.notOk(refreshToken, 'there is no refresh token')
      t.match(claimsOf(token), { sub: 'alice', access: null, exp: claimsOf(identity).exp })
    }
  }
  // The verifier uses the system clock.
  clock.ahead = 0
  const second = (await exchange(identity, '')).json().token
  const third = (await exchange(second, '')).json().token
  t.equal(claimsOf(third).exp, claimsOf(identity).exp, 'repeated exchanges do not extend it')
  t.equal((await ask({ url: '/user', bearer: third })).statusCode, 200)
  await users.endSessions('alice')
  t.equal(
    (await exchange(third, '')).statusCode,
    401,
    'an identity token ends with the sessions of its account',
  )
})

t.test('an identity token yields no refresh token', async (t) => {
  const identity = await identityOf('alice')
  const lasting = await exchange(identity, `scope=${SCOPE}&offline_token=true&client_id=docker`)
  t.equal(lasting.statusCode, 200)
  t.notOk('refresh_token' in lasting.json())
})

t.test(
  'a Bearer token that is not an identity token is refused by the token endpoint and the users API',
  async (t) => {
    const scoped = await scopedOf('alice')
    const empty = (await ask({ url: '/auth/v2/token?scope=repository:other/app:pull', as: 'alice' })).json()
      .token
    const service = await askInternal({
      method: 'POST',
      url: '/internal/service-tokens',
      bearer: SERVICE_CREDENTIAL,
      json: {
        service: 'image-manager',
        access: [{ type: 'repository', name: 'team/app', actions: ['pull'] }],
      },
    })
    const offline = await ask({ url: '/auth/v2/token?offline_token=true', as: 'alice' })
    const identity = await identityOf('alice')
    const [header = '', payload = '', signature = ''] = identity.split('.')
    const forged = Buffer.from(JSON.stringify({ ...claimsOf(identity), sub: 'root' })).toString('base64url')
    const cases = [
      ['a scoped token', scoped],
      ['a token with empty access', empty],
      ["a service's token", service.json().token],
      ['a refresh token', offline.json().refresh_token],
      ['the service credential', SERVICE_CREDENTIAL],
      ['an identity token, changed', `${header}.${forged}.${signature}`],
      ['an identity token without its signature', `${header}.${payload}.`],
      ['rubbish', 'a.b.c'],
    ] as const
    for (const [why, bearer] of cases) {
      t.match(bearer, /.{5}/, `there is ${why}`)
      const response = await exchange(bearer)
      t.equal(response.statusCode, 401, why)
      t.match(response.headers['www-authenticate'], /^Basic realm=/)
      t.equal((await ask({ url: '/user', bearer })).statusCode, 401, `${why}, at the users API`)
    }
  },
)

t.test('the users API accepts an identity token', async (t) => {
  const [alice, root] = [await identityOf('alice'), await identityOf('root')]
  t.match((await ask({ url: '/user', bearer: alice })).json(), { username: 'alice' })
  t.equal((await ask({ url: '/users', bearer: alice })).statusCode, 403)
  t.equal((await ask({ url: '/users', bearer: root })).statusCode, 200)
})

t.test('an identity token is refused at once when its account changes', async (t) => {
  const makeUser = (username: string) =>
    users.create({
      username,
      directory: false,
      role: 'user',
      enabled: true,
      namespaces: [],
      password: `${username}-password`,
    })
  const endings = [
    ['deleted', () => users.delete('bob')],
    ['disabled', () => users.change('bob', { enabled: false })],
    ['given another password', () => users.change('bob', { password: 'another-password' })],
    ['given another role', () => users.change('bob', { role: 'administrator' })],
    ['given other namespaces', () => users.change('bob', { namespaces: ['team'] })],
    ['signed out everywhere', () => users.endSessions('bob')],
  ] as const
  for (const [why, end] of endings) {
    await users.delete('bob')
    await makeUser('bob')
    const identity = await identityOf('bob')
    t.equal((await exchange(identity)).statusCode, 200)
    await end()
    t.equal((await exchange(identity)).statusCode, 401, why)
    t.equal((await ask({ url: '/user', bearer: identity })).statusCode, 401)
  }
  await users.delete('bob')
  await makeUser('bob')
  const old = await identityOf('bob')
  await users.delete('bob')
  await makeUser('bob')
  t.equal((await exchange(old)).statusCode, 401, 'a new account of the same name does not inherit it')
})

t.test('an expired identity token is refused', async (t) => {
  const identity = await identityOf('alice')
  t.equal((await exchange(identity)).statusCode, 200)
  const later = Date.now() + 301_000
  t.intercept(Date, 'now', { value: () => later })
  t.equal((await exchange(identity)).statusCode, 401)
})

t.test('with an identity token, users change their own password only with the current one', async (t) => {
  const change = (bearer: string, json: Record<string, unknown>) =>
    ask({ method: 'POST', url: '/user/password', json, bearer })
  const password = 'a-new-password'
  const bearer = await identityOf('olga')
  const missing = await change(bearer, { password })
  t.equal(missing.statusCode, 400)
  t.match(missing.json(), { field: 'current_password' })
  for (const current_password of ['', 'wrong-password', password]) {
    const refused = await change(bearer, { password, current_password })
    t.equal(refused.statusCode, 403, JSON.stringify(current_password))
    t.match(refused.json(), { field: 'current_password' })
  }
  t.equal((await change(bearer, { password, current_password: 1 })).statusCode, 400)
  t.equal(
    (await change(bearer, { password, username: 'olga' })).statusCode,
    400,
    'naming oneself changes nothing',
  )
  t.equal((await change(bearer, { password, current_password: 'olga-password' })).statusCode, 204)
  t.equal((await ask({ url: '/user', as: 'olga', password })).statusCode, 200)

  const root = await identityOf('root')
  t.equal(
    (await change(root, { username: 'olga', password: 'third-password' })).statusCode,
    204,
    'an administrator needs no current password of others',
  )
  t.equal(
    (await change(root, { username: 'root', password })).statusCode,
    400,
    'administrators need their own current password, too',
  )
  const byBasic = { method: 'POST', url: '/user/password', as: 'olga', password: 'third-password' } as const
  const wrong = await ask({ ...byBasic, json: { password, current_password: 'wrong-password' } })
  t.equal(wrong.statusCode, 403, 'a given current password is checked')
  t.equal(
    (await ask({ ...byBasic, json: { password } })).statusCode,
    204,
    'Basic credentials prove the current password',
  )
})
