import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import type { Question } from './fixtures/auth-service.ts'
import { SERVICE, passwordOf, startAuthService } from './fixtures/auth-service.ts'
import { tokensApi } from './fixtures/registry-tokens.ts'

const { ask, users, db } = await startAuthService(t, await pgliteForTest(t))
const api = await tokensApi(ask)
const token = await api.make({ name: 'kept' })

const FOREIGN: readonly Record<string, string>[] = [
  { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
  { origin: 'null' },
  { 'sec-fetch-site': 'same-site' },
]
const grant = { grant_type: 'password', username: 'alice', password: passwordOf('alice') }
const CHANGES: readonly Question[] = [
  { method: 'POST', url: '/user', form: { username: 'eve', password: 'a-good-password', admin: 'true' } },
  { method: 'PATCH', url: '/user', form: { username: 'alice', admin: 'true' } },
  { method: 'DELETE', url: '/user?username=alice' },
  { method: 'POST', url: '/user/password', form: { username: 'alice', password: 'another-password' } },
  { method: 'POST', url: '/user/namespaces', form: { username: 'alice', namespaces: 'other' } },
  { method: 'DELETE', url: '/user/sessions?username=alice' },
  { method: 'POST', url: api.base, json: { properties: { name: 'eves' } } },
  { method: 'PUT', url: `${api.base}/${token.id}` },
  { method: 'PATCH', url: `${api.base}/${token.id}`, json: { status: 'disabled' } },
  { method: 'DELETE', url: `${api.base}/${token.id}` },
  { method: 'POST', url: '/auth/v2/token', form: grant },
  { method: 'POST', url: '/image-manager/api/v1/auth/token', form: grant },
  { method: 'POST', url: '/nothing/is/here' },
]

t.test('no route accepts a change from a page of another origin', async (t) => {
  const stored = () =>
    Promise.all([
      db.selectFrom('accounts').selectAll().orderBy('id').execute(),
      db.selectFrom('registry_tokens').selectAll().orderBy('account_id').execute(),
      db.selectFrom('refresh_tokens').selectAll().execute(),
      db.selectFrom('revocations').selectAll().execute(),
    ])
  const before = await stored()
  for (const change of CHANGES) {
    for (const headers of FOREIGN) {
      const response = await ask({ ...change, as: 'root', headers })
      const name = `${change.method} ${change.url} with ${JSON.stringify(headers)}`
      t.equal(response.statusCode, 403, name)
      t.match(response.body, /changes from another (origin|site) are refused/, name)
    }
  }
  t.strictSame(await stored(), before)
})

t.test('a change from another origin is refused before its credentials are verified', async (t) => {
  const [change = { url: '' }] = CHANGES
  const response = await ask({ ...change, as: 'root', password: 'wrong', headers: FOREIGN[0] ?? {} })
  t.equal(response.statusCode, 403)
  t.notOk(response.headers['www-authenticate'])
})

t.test("a change from registry-manager's own origin, or without a browser, is accepted", async (t) => {
  const make = (username: string, headers: Record<string, string>) =>
    ask({
      method: 'POST',
      url: '/user',
      form: { username, password: 'a-good-password' },
      as: 'root',
      headers,
    })
  const own = { origin: `https://${SERVICE}`, 'sec-fetch-site': 'same-origin' }
  t.equal((await make('by-page', own)).statusCode, 201)
  t.equal((await make('by-hand', { 'sec-fetch-site': 'none' })).statusCode, 201)
  t.equal((await make('by-curl', {})).statusCode, 201)
  t.ok(await users.find('by-page'))
})

t.test('a read from a page of another origin gets a response without CORS headers', async (t) => {
  const response = await ask({ url: '/user', as: 'alice', headers: FOREIGN[0] ?? {} })
  t.equal(response.statusCode, 200)
  t.notOk(response.headers['access-control-allow-origin'], 'the browser hides it from the page')
})

t.test('a page of another origin cannot get a refresh token, which would replace an old one', async (t) => {
  const count = async () => (await db.selectFrom('refresh_tokens').selectAll().execute()).length
  const before = await count()
  const url = '/auth/v2/token?offline_token=true&service=token-service'
  for (const headers of FOREIGN) {
    t.equal((await ask({ url, as: 'alice', headers })).statusCode, 403)
  }
  t.equal(await count(), before)
  t.equal((await ask({ url, as: 'alice' })).statusCode, 200)
  t.equal(await count(), before + 1)
  const online = await ask({ url: '/auth/v2/token', as: 'alice', headers: FOREIGN[0] ?? {} })
  t.equal(online.statusCode, 200, 'other token requests change nothing')
})
