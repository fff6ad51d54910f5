import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { SERVICE, claimsOf, passwordOf, startAuthService } from '../fixtures/auth-service.ts'

const { ask, clock, db, users } = await startAuthService(t, await pgliteForTest(t))

const POST = { method: 'POST', url: '/auth/v2/token' } as const
const SCOPE = 'repository:team/app:pull,push'
const login = (as: string) => ask({ url: '/auth/v2/token?offline_token=true&client_id=docker&account=x', as })
const refreshTokenOf = async (as: string): Promise<string> => (await login(as)).json().refresh_token
const refresh = (refresh_token: string, more: Record<string, string> = { scope: SCOPE }) =>
  ask({ ...POST, form: { grant_type: 'refresh_token', refresh_token, ...more } })

t.test('a refresh token is issued only on request', async (t) => {
  const password = { grant_type: 'password', username: 'alice', password: passwordOf('alice') }
  const requested = [
    await login('alice'),
    await ask({ url: '/auth/v2/token?offline_token=1', as: 'alice' }),
    await ask({ ...POST, form: { ...password, access_type: 'offline' } }),
  ]
  for (const response of requested) t.match(response.json().refresh_token, /^.{40,}$/)
  t.equal(
    new Set(requested.map((response) => response.json().refresh_token)).size,
    3,
    'all refresh tokens differ',
  )
  const others = [
    await ask({ url: `/auth/v2/token?scope=${SCOPE}`, as: 'alice' }),
    await ask({ url: '/auth/v2/token?offline_token=false&access_type=offline', as: 'alice' }),
    await ask({ ...POST, form: password }),
    await ask({ ...POST, form: { ...password, access_type: 'online', offline_token: 'true' } }),
  ]
  for (const response of others) t.notOk('refresh_token' in response.json())
})

t.test('a refresh token yields access tokens more than once', async (t) => {
  const token = await refreshTokenOf('alice')
  for (const _ of [1, 2, 3]) {
    const response = await refresh(token)
    t.equal(response.statusCode, 200)
    t.equal(response.json().scope, SCOPE)
    t.match(claimsOf(response.json().token), {
      sub: 'alice',
      access: [{ name: 'team/app', actions: ['pull', 'push'] }],
    })
  }
})

t.test(
  'a refresh token never yields an identity token: without a scope the access token may do nothing',
  async (t) => {
    const token = await refreshTokenOf('root')
    const forms: readonly Record<string, string>[] = [
      {},
      { scope: '' },
      { access_type: 'offline', service: SERVICE, client_id: 'docker' },
    ]
    for (const more of forms) {
      const response = await refresh(token, more)
      t.equal(response.statusCode, 200, JSON.stringify(more))
      const bearer: string = response.json().token
      t.strictSame(claimsOf(bearer).access, [], 'no access: enough for GET /v2/ only')
      const fields = {
        username: `made-${Object.keys(more).length}`,
        password: 'a-good-password',
        admin: true,
      }
      const questions = [
        { method: 'POST', url: '/user', json: fields, bearer },
        { method: 'POST', url: '/user/password', json: { password: 'another-password' }, bearer },
        { url: '/users', bearer },
        { url: '/containerregistries/registries', bearer },
        { url: `/auth/v2/token?scope=${SCOPE}`, bearer },
      ] as const
      for (const question of questions) t.equal((await ask(question)).statusCode, 401, question.url)
    }
  },
)

t.test('wrong refresh tokens are limited by address; right ones are always accepted', async (t) => {
  const token = await refreshTokenOf('alice')
  const statuses: number[] = []
  for (let at = 0; at < 40; at += 1) statuses.push((await refresh(`rmr_${at}`)).statusCode)
  t.equal(statuses[0], 401)
  t.equal(statuses.at(-1), 429)
  t.ok(statuses.filter((status) => status === 401).length < 30)
  t.equal((await refresh(token)).statusCode, 200)
  t.equal((await ask({ url: '/user', as: 'olga' })).statusCode, 200, 'passwords are counted separately')
  clock.ahead = 3_600_000
  t.equal((await refresh('rmr_x')).statusCode, 401)
  clock.ahead = 0
})

t.test('a refresh token is not rotated: docker keeps the first one', async (t) => {
  const token = await refreshTokenOf('alice')
  const response = await refresh(token, { access_type: 'offline', scope: SCOPE })
  t.equal(response.json().refresh_token, token)
  t.equal((await refresh(token)).statusCode, 200)
})

t.test('a refresh token is refused as a password and as a Bearer token', async (t) => {
  const token = await refreshTokenOf('alice')
  t.equal((await ask({ url: '/user', as: 'alice', password: token })).statusCode, 401)
  t.equal((await ask({ url: '/user', bearer: token })).statusCode, 401)
  t.equal((await ask({ url: '/auth/v2/token', as: '<token>', password: token })).statusCode, 401)
})

t.test('a refresh token is bound to its service', async (t) => {
  const token = await refreshTokenOf('alice')
  t.equal((await refresh(token, { service: SERVICE })).statusCode, 200)
  t.equal(
    (await refresh(token, { service: 'token-service' })).statusCode,
    200,
    'an alias of the service is accepted',
  )
  t.equal((await refresh(token, { service: 'other.example' })).statusCode, 400)
  const unused = await refreshTokenOf('alice')
  await db.updateTable('refresh_tokens').set({ service: 'other.example' }).execute()
  t.equal((await refresh(unused)).statusCode, 401)
})

t.test('a refresh token ends with the sessions and with the generation of its account', async (t) => {
  const password = passwordOf('bob')
  const bob = {
    username: 'bob',
    directory: false,
    role: 'user',
    enabled: true,
    namespaces: [],
    password,
  } as const
  const endings = [
    ['by DELETE /user/sessions', { method: 'DELETE', url: '/user/sessions', as: 'bob' }],
    ['by an administrator', { method: 'DELETE', url: '/user/sessions?username=bob', as: 'root' }],
    [
      'by another password',
      { method: 'POST', url: '/user/password', as: 'bob', form: { password: 'x-password' } },
    ],
    [
      'by other namespaces',
      { method: 'POST', url: '/user/namespaces?username=bob&namespaces=a', as: 'root' },
    ],
    ['by another role', { method: 'PATCH', url: '/user?username=bob&role=administrator', as: 'root' }],
    ['by disabling', { method: 'PATCH', url: '/user?username=bob&enabled=false', as: 'root' }],
    ['by deleting', { method: 'DELETE', url: '/user?username=bob', as: 'root' }],
  ] as const
  const bystander = await refreshTokenOf('olga')
  for (const [why, question] of endings) {
    await users.delete('bob')
    await users.create(bob)
    const [one, other] = [await refreshTokenOf('bob'), await refreshTokenOf('bob')]
    t.equal((await refresh(one)).statusCode, 200)
    t.ok((await ask(question)).statusCode < 300, why)
    t.equal((await refresh(one)).statusCode, 401, `${why}, the refresh token is refused`)
    t.equal((await refresh(other)).statusCode, 401, 'every refresh token of the account is refused')
  }
  await users.create(bob)
  t.equal((await refresh(bystander)).statusCode, 200, "another account's refresh token stays valid")
})

t.test('a change without effect does not end a refresh token', async (t) => {
  const token = await refreshTokenOf('alice')
  t.equal(
    (await ask({ method: 'PATCH', url: '/user?username=alice&enabled=true&role=user', as: 'root' }))
      .statusCode,
    200,
  )
  t.equal((await refresh(token)).statusCode, 200)
})

t.test('the token endpoint refuses a refresh token that was unused for ninety days', async (t) => {
  const token = await refreshTokenOf('alice')
  t.teardown(() => (clock.ahead = 0))
  clock.ahead = 89 * 86_400_000
  t.equal((await refresh(token)).statusCode, 200)
  clock.ahead = 178 * 86_400_000
  t.equal((await refresh(token)).statusCode, 200)
  clock.ahead = 270 * 86_400_000
  t.equal((await refresh(token)).statusCode, 401)
})
