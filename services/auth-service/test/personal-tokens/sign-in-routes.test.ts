import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { until } from '@registry-manager/testing/until'
import type { Question } from '../fixtures/auth-service.ts'
import { SERVICE_CREDENTIAL, claimsOf, passwordOf, startAuthService } from '../fixtures/auth-service.ts'
import { PUSH_TEAM, personalTokensApi } from '../fixtures/personal-tokens.ts'

const { ask, askInternal, clock, users } = await startAuthService(t, await pgliteForTest(t))
const alice = personalTokensApi(ask, 'alice')
const root = personalTokensApi(ask, 'root')

interface Who {
  readonly as: string
  readonly password: string
}
const SCOPE = 'repository:team/app:pull,push,delete repository:other/app:pull registry:catalog:*'
const get = ({ as, password }: Who, scope = SCOPE, more = '') =>
  ask({ url: `/auth/v2/token?${new URLSearchParams({ scope })}${more}`, as, password })
const accessOf = async (who: Who) => claimsOf((await get(who)).json().token).access
const statusOf = async (who: Who) => (await get(who)).statusCode
const identityOf = async ({ as, password }: Who) =>
  (await ask({ url: '/auth/v2/token', as, password })).json().token as string
const exchange = ({ as: username, password }: Who, access: unknown = null) => {
  const json = { username, password, address: '10.0.0.1', access }
  return askInternal({ method: 'POST', url: '/internal/token-exchanges', json, bearer: SERVICE_CREDENTIAL })
}
const internal = (url: string) => askInternal({ url, bearer: SERVICE_CREDENTIAL })
const aliceId = async () => (await users.find('alice'))?.id ?? ''
const catalog = { type: 'registry', name: 'catalog', actions: ['*'] }
const app = (...actions: string[]) => ({ type: 'repository', name: 'team/app', actions })

t.test('a personal token gets the access that both its owner and its scopes permit', async (t) => {
  const scoped = await alice.make({
    name: 'scoped',
    scopes: [...PUSH_TEAM, { type: 'repository', name: 'other/*', actions: ['pull'] }],
  })
  const plain = await alice.make({ name: 'plain' })
  t.strictSame(await accessOf(scoped), [app('pull', 'push'), catalog], 'the owner lacks other/app')
  t.strictSame(await accessOf(plain), [app('pull', 'push', 'delete'), catalog], 'without scopes')
  const everywhere = await root.make({ name: 'everywhere', scopes: PUSH_TEAM })
  t.strictSame(await accessOf(everywhere), [app('pull', 'push'), catalog], "a cluster administrator's too")
  const form = { grant_type: 'password', username: 'alice', password: scoped.password, scope: SCOPE }
  const posted = await ask({ method: 'POST', url: '/auth/v2/token', form })
  t.strictSame(claimsOf(posted.json().token).access, [app('pull', 'push'), catalog])
  const exchanged = (await exchange(scoped, [app('pull', 'push', 'delete')])).json()
  t.strictSame(claimsOf(exchanged.token).access, [app('pull', 'push')])
})

t.test('an access token names the owner, and the personal token that it was requested with', async (t) => {
  const { id, ...who } = await alice.make({ name: 'Named One' })
  const uid = await aliceId()
  const gen = (await users.find('alice'))?.generation
  const expected = { sub: 'alice', uid, gen, kind: 'personal-token', via: id, via_name: 'Named One' }
  t.match(claimsOf((await get(who)).json().token), expected)
  t.match(claimsOf(await identityOf(who)), { ...expected, access: null })
  t.match(claimsOf((await exchange(who)).json().token), expected)
})

t.test('an identity token of a personal token yields only access within its scopes', async (t) => {
  const who = await alice.make({ name: 'identity', scopes: PUSH_TEAM })
  const bearer = await identityOf(who)
  const scoped = await ask({ url: '/auth/v2/token?scope=repository:team/app:pull,delete', bearer })
  t.match(claimsOf(scoped.json().token), { access: [app('pull')], via: who.id })
  await alice.delete(who.id)
  const after = await ask({ url: '/auth/v2/token?scope=repository:team/app:pull', bearer })
  t.equal(after.statusCode, 401, 'after the personal token was deleted')
})

t.test('a personal token gets no refresh token, which would outlive it', async (t) => {
  const who = await alice.make({ name: 'no refresh' })
  t.notOk('refresh_token' in (await get(who, SCOPE, '&offline_token=true')).json())
  const form = { grant_type: 'password', username: 'alice', password: who.password, access_type: 'offline' }
  t.notOk('refresh_token' in (await ask({ method: 'POST', url: '/auth/v2/token', form })).json())
})

t.test('a personal token is refused with another username', async (t) => {
  const { password } = await alice.make({ name: 'username' })
  t.equal(await statusOf({ as: 'ALICE', password }), 200)
  for (const as of ['root', 'nobody', '']) t.equal(await statusOf({ as, password }), 401, as)
  t.strictSame((await exchange({ as: 'root', password })).json(), { outcome: 'refused' })
  t.equal(await statusOf({ as: 'alice', password: `${password.slice(0, -1)}_` }), 401, 'a wrong password')
})

t.test('no access token outlives its personal token', async (t) => {
  const expires = Math.floor(Date.now() / 1000) + 100
  const { id, ...who } = await alice.make({
    name: 'expires',
    expiryDate: new Date(expires * 1000).toISOString(),
  })
  t.equal(claimsOf((await get(who)).json().token).exp, expires)
  t.equal(claimsOf((await exchange(who)).json().token).exp, expires)
  const facts = `/internal/accounts/${await aliceId()}/via/${id}`
  t.equal((await internal(facts)).statusCode, 200)
  clock.ahead = expires * 1000 - Date.now()
  t.equal(await statusOf(who), 401, 'refused from the second of its expiry')
  t.equal((await internal(facts)).statusCode, 404)
  clock.ahead = 0
})

t.test('the internal API returns the rights of the owner and the limits of the personal token', async (t) => {
  const { id } = await alice.make({ name: 'facts', scopes: PUSH_TEAM })
  const plain = await alice.make({ name: 'plain facts' })
  const uid = await aliceId()
  const facts = { kind: 'user', role: 'user', namespaces: ['team'] }
  t.match((await internal(`/internal/accounts/${uid}/via/${id}`)).json(), { ...facts, limitedTo: PUSH_TEAM })
  t.notOk('limitedTo' in (await internal(`/internal/accounts/${uid}/via/${plain.id}`)).json())
  const other = (await users.find('olga'))?.id
  t.equal((await internal(`/internal/accounts/${other}/via/${id}`)).statusCode, 404, 'of another owner')
  t.equal((await internal(`/internal/accounts/${uid}/via/${uid}`)).statusCode, 404, 'an unknown one')
})

const MANAGEMENT: readonly Question[] = [
  { url: '/user' },
  { url: '/users' },
  { url: '/audit' },
  { url: '/containerregistries/registries' },
]

t.test('the management APIs accept a personal token that no scopes limit', async (t) => {
  const [plain, scoped] = [
    await root.make({ name: 'automation' }),
    await root.make({ name: 'limited', scopes: [{ type: 'repository', name: '*', actions: ['pull'] }] }),
  ]
  for (const question of MANAGEMENT) {
    for (const [who, status] of [
      [plain, 200],
      [scoped, 403],
    ] as const) {
      const { as, password } = who
      t.equal((await ask({ ...question, as, password })).statusCode, status, question.url)
      t.equal((await ask({ ...question, bearer: await identityOf(who) })).statusCode, status, question.url)
    }
  }
  const ofAlice = await alice.make({ name: 'own record' })
  const { as, password } = ofAlice
  t.equal((await ask({ url: '/user', as, password })).statusCode, 200)
  t.equal((await ask({ url: '/users', as, password })).statusCode, 403, 'where its owner may')
})

t.test('a personal token cannot change a password', async (t) => {
  const { as, password } = await root.make({ name: 'takeover' })
  const change = { password: 'a-new-password' }
  const questions: readonly Question[] = [
    { method: 'POST', url: '/user/password', json: change },
    { method: 'POST', url: '/user/password', json: { ...change, current_password: password } },
    { method: 'POST', url: '/user/password', json: { ...change, username: 'alice' } },
    { method: 'PATCH', url: '/user', json: { ...change, username: 'root' } },
    { method: 'PATCH', url: '/user?username=alice', form: change },
  ]
  for (const question of questions) {
    t.equal((await ask({ ...question, as, password })).statusCode, 403, question.url)
    t.equal((await ask({ ...question, bearer: await identityOf({ as, password }) })).statusCode, 403)
  }
  const bearer = await identityOf({ as, password: passwordOf('root') })
  const json = { ...change, current_password: password }
  const confirmed = await ask({ method: 'POST', url: '/user/password', json, bearer })
  t.equal(confirmed.statusCode, 403, 'it is not the current password either')
  t.equal((await ask({ url: '/user', as: 'root' })).statusCode, 200, 'the password is unchanged')
})

/** The status of personal tokens, and whether the revocation list ends an access token from before. */
async function endOf(who: Who & { readonly id: string }, end: () => Promise<unknown>) {
  const claims = claimsOf((await get(who)).json().token)
  t.equal(await statusOf(who), 200, 'valid before')
  await end()
  const isRevoked = async () => {
    const { accounts } = (await internal('/internal/revocations')).json()
    return (accounts[claims.uid] ?? 0) > claims.gen || (accounts[who.id] ?? 0) > 0
  }
  await until(isRevoked, 'the revocation list ends its access tokens')
  return statusOf(who)
}

t.test('a deleted personal token is refused, and its access tokens are revoked', async (t) => {
  const who = await alice.make({ name: 'deleted' })
  t.equal(await endOf(who, () => alice.delete(who.id)), 401)
  t.strictSame((await exchange(who)).json(), { outcome: 'refused' })
  const other = await alice.make({ name: 'stays' })
  t.equal(await statusOf(other), 200, 'others stay valid')
})

t.test('the rights of a personal token shrink with those of its owner', async (t) => {
  const who = await alice.make({ name: 'shrinks', scopes: PUSH_TEAM })
  t.equal(await endOf(who, () => users.change('alice', { namespaces: ['lab'] })), 200)
  t.strictSame(await accessOf(who), [catalog])
  await users.change('alice', { namespaces: ['team'] })
  await until(async () => (await accessOf(who))?.length === 2, 'the change is noticed')
  t.strictSame(await accessOf(who), [app('pull', 'push'), catalog])
})

t.test('a changed password ends access tokens, but not the personal token', async (t) => {
  const who = await alice.make({ name: 'survives' })
  t.equal(await endOf(who, () => users.change('alice', { password: passwordOf('alice') })), 200)
})

t.test('a personal token of a disabled or deleted owner is refused', async (t) => {
  const who = await alice.make({ name: 'owner' })
  t.equal(await endOf(who, () => users.change('alice', { enabled: false })), 401)
  await users.change('alice', { enabled: true })
  t.equal(await statusOf(who), 200, 'enabled again')
  t.equal(await endOf(who, () => users.delete('alice')), 401)
  await users.create({
    username: 'alice',
    directory: false,
    role: 'user',
    enabled: true,
    namespaces: ['team'],
    password: passwordOf('alice'),
  })
  t.equal(await statusOf(who), 401, 'a new user of the same name does not inherit it')
})

t.test('the last use of a personal token is shown after a few seconds, with its address', async (t) => {
  const { id, ...who } = await alice.make({ name: 'used' })
  await exchange(who)
  const end = Date.now() + 20_000
  let shown = (await alice.get(id)).json()
  while (shown.lastUsedDate === null && Date.now() < end) {
    await sleep(200)
    shown = (await alice.get(id)).json()
  }
  t.match(shown, { lastUsedDate: /^\d{4}-.*Z$/, lastUsedAddress: '10.0.0.1' })
})

t.test('wrong personal tokens from one address are limited', async (t) => {
  const { as, password } = await alice.make({ name: 'limits' })
  const headers = { 'x-forwarded-for': '198.51.100.9' }
  const wrong = `${password.slice(0, -6)}000000`
  let status = 401
  for (let attempt = 0; attempt < 40 && status === 401; attempt += 1) {
    status = (await ask({ url: '/auth/v2/token', as, password: wrong, headers })).statusCode
  }
  t.equal(status, 429)
  t.equal(
    (await ask({ url: '/auth/v2/token', as, password, headers })).statusCode,
    200,
    'the right one passes',
  )
})
