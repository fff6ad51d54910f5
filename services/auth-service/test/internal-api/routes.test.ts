import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import type { Question } from '../fixtures/auth-service.ts'
import { SERVICE_CREDENTIAL, claimsOf, passwordOf, startAuthService } from '../fixtures/auth-service.ts'

const { ask, askInternal, clock, users } = await startAuthService(t, await pgliteForTest(t))

const access = [{ type: 'repository', name: 'team/app', actions: ['pull', 'push'] }]
const exchangeOf = (username: string, password = passwordOf(username)) => ({
  username,
  password,
  address: '10.0.0.1',
  access,
})
const alice = await users.find('alice')
const post = (url: string, json: unknown) =>
  askInternal({ method: 'POST', url, json, bearer: SERVICE_CREDENTIAL })
const get = (url: string) => askInternal({ url, bearer: SERVICE_CREDENTIAL })
const exchange = (json: unknown) => post('/internal/token-exchanges', json)

const QUESTIONS: readonly Question[] = [
  { method: 'POST', url: '/internal/service-tokens', json: { service: 'image-manager', access } },
  { method: 'POST', url: '/internal/token-exchanges', json: exchangeOf('alice') },
  { url: `/internal/accounts/${alice?.id}` },
  { url: '/internal/revocations' },
]

t.test('the internal API requires the service credential and is only on the internal port', async (t) => {
  for (const question of QUESTIONS) {
    const what = `${question.method ?? 'GET'} ${question.url}`
    t.equal((await askInternal({ ...question, bearer: SERVICE_CREDENTIAL })).statusCode, 200, what)
    const identity = (await ask({ url: '/auth/v2/token', as: 'root' })).json().token
    for (const who of [{}, { as: 'root' }, { bearer: 'x'.repeat(32) }, { bearer: identity }]) {
      t.equal(
        (await askInternal({ ...question, ...who })).statusCode,
        401,
        `${what}: not with ${Object.keys(who)}`,
      )
    }
    const outside = await ask({ ...question, bearer: SERVICE_CREDENTIAL })
    t.equal(outside.statusCode, 404, `${what}: not on the public port`)
  }
  for (const url of ['/livez', '/readyz', '/metrics']) {
    t.equal((await askInternal({ url })).statusCode, 200, url)
    t.equal((await ask({ url, as: 'root' })).statusCode, 404, `${url}: not on the public port`)
  }
  t.equal(
    (await askInternal({ url: '/user', as: 'root' })).statusCode,
    404,
    'the users API is not on the internal port',
  )
})

t.test('a service gets an access token with exactly the requested access', async (t) => {
  const response = await post('/internal/service-tokens', { service: 'image-manager', access })
  const { token, expiresIn } = response.json()
  t.ok(expiresIn > 294 && expiresIn <= 300)
  t.match(claimsOf(token), { sub: 'service:image-manager', uid: undefined, gen: undefined, access })
})

t.test("a service exchanges a client's credentials for an access token", async (t) => {
  const response = await exchange(exchangeOf('alice'))
  const { outcome, token, expiresIn } = response.json()
  t.equal(outcome, 'issued')
  t.ok(expiresIn > 294 && expiresIn <= 300)
  t.match(claimsOf(token), { sub: 'alice', uid: alice?.id, access })
  const other = await exchange({ ...exchangeOf('alice'), access: [{ ...access[0], name: 'other/app' }] })
  t.strictSame(claimsOf(other.json().token).access, [], 'only permitted access is granted')
  t.strictSame((await exchange(exchangeOf('alice', 'wrong-password'))).json(), { outcome: 'refused' })
  t.strictSame((await exchange(exchangeOf('nobody'))).json(), { outcome: 'refused' })
  t.strictSame((await exchange(exchangeOf('al\0ice'))).json(), { outcome: 'refused' })
})

t.test(
  'failed exchanges are limited by username and by the client address that the service sends',
  async (t) => {
    let last: { outcome?: string; retryAfterSeconds?: number } = {}
    for (let attempt = 0; attempt < 30 && last.outcome !== 'throttled'; attempt += 1) {
      last = (await exchange(exchangeOf('mallory'))).json()
    }
    t.match(last, { outcome: 'throttled' })
    t.ok((last.retryAfterSeconds ?? 0) > 0)
    const other = await exchange({ ...exchangeOf('marvin'), address: '10.0.0.2' })
    t.strictSame(other.json(), { outcome: 'refused' }, 'another account at another address is not limited')
    clock.ahead += 61_000
    t.strictSame((await exchange(exchangeOf('mallory'))).json(), { outcome: 'refused' })
    clock.ahead = 0
  },
)

t.test('the internal API returns the role of a grant, because owners manage namespaces', async (t) => {
  const granted = { repositories: 'lab/*', role: 'owner' }
  const json = { subject: { kind: 'user', name: 'olga' }, ...granted }
  t.equal((await ask({ method: 'POST', url: '/namespaces/lab/grants', as: 'root', json })).statusCode, 201)
  const { grants } = (await get(`/internal/accounts/${(await users.find('olga'))?.id}`)).json()
  t.match(grants, [{ ...granted, actions: ['pull', 'push', 'delete'] }])
})

t.test('the internal API returns the rights of an active account', async (t) => {
  const known = { kind: 'user', role: 'user', namespaces: ['team'], grants: [], generation: 1 }
  t.strictSame((await get(`/internal/accounts/${alice?.id}`)).json(), known)
  await users.change('olga', { enabled: false })
  const olga = await users.find('olga')
  t.equal((await get(`/internal/accounts/${olga?.id}`)).statusCode, 404, 'disabled')
  t.equal((await get('/internal/accounts/00000000-0000-4000-8000-000000000000')).statusCode, 404, 'unknown')
  for (const id of ['alice', '1', "'", '%00']) {
    t.equal((await get(`/internal/accounts/${id}`)).statusCode, 400, `${id} is not an id`)
    t.equal((await get(`/internal/accounts/${alice?.id}/via/${id}`)).statusCode, 400, `via ${id}`)
  }
})

t.test('a revocation is in the revocation list within seconds', async (t) => {
  const id = alice?.id ?? ''
  const leastOf = async () => (await get('/internal/revocations')).json().accounts[id]
  t.equal(await leastOf(), undefined)
  await users.endSessions('alice')
  for (let attempt = 0; attempt < 50 && (await leastOf()) === undefined; attempt += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  t.equal(await leastOf(), 2)
})

t.test('a request with the ETag of the unchanged revocation list gets 304', async (t) => {
  const ask = (etag: string) =>
    askInternal({
      url: '/internal/revocations',
      bearer: SERVICE_CREDENTIAL,
      headers: { 'if-none-match': etag },
    })
  const { etag } = (await get('/internal/revocations')).headers
  t.match(etag, /^"[\w-]+"$/)
  const unchanged = await ask(String(etag))
  t.equal(unchanged.statusCode, 304)
  t.equal(unchanged.body, '')
  t.equal((await ask('"another"')).statusCode, 200)
  await users.endSessions('alice')
  for (let attempt = 0; attempt < 50 && (await ask(String(etag))).statusCode === 304; attempt += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  const changed = await ask(String(etag))
  t.equal(changed.statusCode, 200)
  t.not(changed.headers.etag, etag)
})

const BAD: readonly (readonly [url: string, body: unknown])[] = [
  ['service-tokens', {}],
  ['service-tokens', { service: 'image-manager' }],
  ['service-tokens', { service: 'Image Manager', access }],
  ['service-tokens', { service: 'image-manager', access: null }],
  ['service-tokens', { service: 'image-manager', access: ['repository:a:pull'] }],
  ['service-tokens', { service: 'image-manager', access, more: true }],
  ['service-tokens', { service: 'image-manager', access: Array.from({ length: 101 }, () => access[0]) }],
  ['service-tokens', []],
  ['token-exchanges', { ...exchangeOf('alice'), password: 1 }],
  ['token-exchanges', { ...exchangeOf('alice'), address: undefined }],
  ['token-exchanges', { ...exchangeOf('alice'), access: [{ type: 'repository', name: 'a' }] }],
  ['token-exchanges', null],
]

t.test('a bad body of the internal API is refused with 400 and without its password', async (t) => {
  for (const [url, body] of BAD) {
    const response = await post(`/internal/${url}`, body)
    t.equal(response.statusCode, 400, `${url}: ${JSON.stringify(body).slice(0, 80)}`)
    t.match(response.headers['content-type'], /^application\/problem\+json/)
    t.notMatch(response.body, passwordOf('alice'))
  }
})
