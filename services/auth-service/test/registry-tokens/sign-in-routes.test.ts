import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { until } from '@registry-manager/testing/until'
import type { Question } from '../fixtures/auth-service.ts'
import { SERVICE_CREDENTIAL, claimsOf, startAuthService } from '../fixtures/auth-service.ts'
import { PULL_TEAM, tokensApi } from '../fixtures/registry-tokens.ts'

const { ask, askInternal, clock } = await startAuthService(t, await pgliteForTest(t))
const api = await tokensApi(ask)

interface Who {
  readonly as: string
  readonly password: string
}
const get = (who: Who, scope = 'repository:team/app:pull', more = '') =>
  ask({ url: `/auth/v2/token?scope=${scope}${more}`, ...who })
const statusOf = async (who: Who) => (await get(who)).statusCode
const exchange = (who: Who, access: unknown = null) => {
  const json = { username: who.as, password: who.password, address: '10.0.0.1', access }
  return askInternal({ method: 'POST', url: '/internal/token-exchanges', json, bearer: SERVICE_CREDENTIAL })
}
const internal = async (url: string) => askInternal({ url, bearer: SERVICE_CREDENTIAL })

t.test('a registry token gets the access of its scopes from every token endpoint', async (t) => {
  const { id, ...who } = await api.make({ name: 'CI' })
  const scope = 'repository:team/app:pull,push repository:other/app:pull registry:catalog:*'
  const access = [
    { type: 'repository', name: 'team/app', actions: ['pull'] },
    { type: 'registry', name: 'catalog', actions: ['*'] },
  ]
  const form = { grant_type: 'password', username: 'ci', password: who.password, scope }
  const questions: readonly Question[] = [
    { url: `/auth/v2/token?${new URLSearchParams({ scope })}`, ...who },
    { url: `/auth/v2/token/?${new URLSearchParams({ scope })}`, ...who },
    { url: `/image-manager/api/v1/auth/token?${new URLSearchParams({ scope })}`, ...who },
    { method: 'POST', url: '/auth/v2/token', form },
  ]
  for (const question of questions) {
    const response = await ask(question)
    t.equal(response.statusCode, 200, question.url)
    t.match(claimsOf(response.json().token), { sub: 'CI', uid: id, gen: 1 })
    t.strictSame(claimsOf(response.json().token).access, access)
  }
  const requested = [{ type: 'repository', name: 'team/app', actions: ['pull', 'push', 'delete'] }]
  const exchanged = (await exchange(who, requested)).json()
  t.strictSame(claimsOf(exchanged.token).access, access.slice(0, 1))
  const login = await ask({ url: '/auth/v2/token?account=CI&client_id=docker&offline_token=true', ...who })
  t.equal(claimsOf(login.json().token).access, null, 'docker login requests no scope: an identity token')
  t.strictSame(
    (await internal(`/internal/accounts/${id}`)).json(),
    { kind: 'token', scopes: PULL_TEAM, grants: [], generation: 1 },
    'the internal API returns its scopes',
  )
})

t.test('an identity token of a registry token yields only access within its scopes', async (t) => {
  const { id: _id, ...who } = await api.make({ name: 'identity' })
  const bearer = (await ask({ url: '/auth/v2/token', ...who })).json().token
  const scoped = await ask({ url: '/auth/v2/token?scope=repository:team/app:pull,push', bearer })
  t.strictSame(claimsOf(scoped.json().token).access, [
    { type: 'repository', name: 'team/app', actions: ['pull'] },
  ])
})

t.test('a registry token gets no refresh token, which would outlive a rotation', async (t) => {
  const { id: _id, ...who } = await api.make({ name: 'no-refresh' })
  t.notOk('refresh_token' in (await get(who, undefined, '&offline_token=true')).json())
  const form = { grant_type: 'password', username: who.as, password: who.password, access_type: 'offline' }
  t.notOk('refresh_token' in (await ask({ method: 'POST', url: '/auth/v2/token', form })).json())
})

t.test('wrong credentials of a registry token are refused', async (t) => {
  const { id: _id, ...who } = await api.make({ name: 'wrong' })
  const other = await api.make({ name: 'other-one' })
  const cases = [
    { ...who, password: other.password },
    { ...who, password: `${who.password.slice(0, -1)}_` },
    { ...who, password: who.password.toLowerCase() },
    { ...who, as: 'nobody' },
    { ...who, as: 'wr\0ong' },
    { ...who, as: 'root' },
    { ...who, password: 'a-password' },
  ]
  for (const bad of cases) {
    t.equal(await statusOf(bad), 401, JSON.stringify(bad.as))
    t.strictSame((await exchange(bad)).json(), { outcome: 'refused' })
  }
})

t.test('no access token outlives its registry token', async (t) => {
  const expires = Math.floor(Date.now() / 1000) + 100
  const expiryDate = new Date(expires * 1000).toISOString()
  const { id, ...who } = await api.make({ name: 'expires', expiryDate })
  const { token, expires_in } = (await get(who)).json()
  t.equal(claimsOf(token).exp, expires)
  t.ok(expires_in <= 100)
  t.equal(claimsOf((await exchange(who)).json().token).exp, expires)
  clock.ahead = expires * 1000 - Date.now() - 10_000
  t.equal(await statusOf(who), 200, 'valid until its expiry')
  clock.ahead += 10_000
  t.equal(await statusOf(who), 401, 'refused from the second of its expiry')
  t.strictSame((await exchange(who)).json(), { outcome: 'refused' })
  t.equal((await internal(`/internal/accounts/${id}`)).statusCode, 404)
  clock.ahead = 0
})

const ENDINGS: Readonly<Record<string, (id: string) => Promise<{ statusCode: number }>>> = {
  disabled: (id) => api.patch(id, { status: 'disabled' }),
  deleted: (id) => api.delete(id),
  rotated: (id) => api.put(id),
  expired: (id) => api.patch(id, { expiryDate: '2020-01-01T00:00:00Z' }),
}

for (const [what, end] of Object.entries(ENDINGS)) {
  t.test(`a registry token that was ${what} is refused, its access tokens are revoked`, async (t) => {
    const { id, ...who } = await api.make({ name: `is-${what}` })
    const jwt = claimsOf((await get(who)).json().token)
    t.equal(await statusOf(who), 200, 'valid before')
    t.ok((await end(id)).statusCode < 300)
    await until(async () => (await statusOf(who)) === 401, 'the password is refused')
    const isRefused = async () => (await exchange(who)).json().outcome === 'refused'
    await until(isRefused, 'the exchange for the proxy is refused')
    const isRevoked = async () => (await internal('/internal/revocations')).json().accounts[id] > jwt.gen
    await until(isRevoked, 'the revocation list has its access tokens')
  })
}

t.test('a registry token that is enabled again works again', async (t) => {
  const { id, ...who } = await api.make({ name: 'on-and-off' })
  await api.patch(id, { status: 'disabled' })
  t.equal((await internal(`/internal/accounts/${id}`)).statusCode, 404)
  await api.patch(id, { status: 'enabled' })
  t.equal(await statusOf(who), 200)
})

t.test('a change of scopes revokes access tokens, the password stays valid', async (t) => {
  const { id, ...who } = await api.make({ name: 'other-scopes' })
  t.match(claimsOf((await get(who)).json().token), { gen: 1, access: [{ actions: ['pull'] }] })
  await api.patch(id, { scopes: [{ type: 'repository', name: 'lab/*', actions: ['pull'] }] })
  const isNew = async () => claimsOf((await get(who)).json().token).gen === 2
  await until(isNew)
  t.strictSame(claimsOf((await get(who)).json().token).access, [])
})

t.test('both passwords work during the overlap of a rotation, then only the new one', async (t) => {
  const { id, ...old } = await api.make({ name: 'overlaps' })
  t.equal(await statusOf(old), 200)
  const before = Date.now()
  const next = {
    ...old,
    password: (await api.put(id, '?overlap=3600')).json().properties.credentials.password,
  }
  t.equal(await statusOf(next), 200, 'the new password works at once')
  t.equal(await statusOf(old), 200, 'the old password still works')
  const isBound = async () => claimsOf((await get(old)).json().token).exp - before / 1000 < 3600
  t.ok(await isBound())
  // Beyond every cache: the old password is looked up again.
  clock.ahead = 3_500_000
  t.equal(await statusOf(old), 200)
  const { exp } = claimsOf((await get(old)).json().token)
  t.ok(exp <= Math.ceil(Date.now() / 1000) + 3600, 'no access token of the old password outlives the overlap')
  t.ok(claimsOf((await get(next)).json().token).exp > exp)
  clock.ahead = 3_600_000 + 1000
  t.equal(await statusOf(old), 401)
  t.equal(await statusOf(next), 200)
  clock.ahead = 0
})

t.test('the last use of a registry token is shown after a few seconds, with its address', async (t) => {
  const { id, ...who } = await api.make({ name: 'used' })
  t.notOk('lastUsedDate' in (await api.get(id)).json().metadata)
  await get(who)
  await exchange(who)
  const metadata = async () => (await api.get(id)).json().metadata
  await until(async () => (await metadata()).lastUsedDate !== undefined, 'the last use is shown')
  t.match(
    await metadata(),
    { lastUsedDate: /^\d{4}-.*Z$/, lastUsedAddress: '10.0.0.1' },
    "the address of the proxy's client",
  )
})
