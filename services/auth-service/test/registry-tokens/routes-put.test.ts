import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { until } from '@registry-manager/testing/until'
import { claimsOf, startAuthService } from '../fixtures/auth-service.ts'
import { PULL_TEAM, tokensApi } from '../fixtures/registry-tokens.ts'

/*
 * The provider's command line tool creates registry tokens without scopes and adds these later. It also deletes a
 * registry token and puts it back under its id.
 */
const { ask, askInternal, users } = await startAuthService(t, await pgliteForTest(t))
const api = await tokensApi(ask)
const PULL = '/auth/v2/token?scope=repository:team/app:pull'
const ID = '3f0d2a8e-1111-4222-8333-944455556666'
type Made = { json(): { properties: { credentials: { username: string; password: string } } } }
const who = (made: Made) => {
  const { username: as, password } = made.json().properties.credentials
  return { as, password }
}

t.test('a registry token without scopes signs in and may do nothing until it gets some', async (t) => {
  for (const [name, scopes] of [
    ['left-out', undefined],
    ['empty', []],
    ['null', null],
  ] as const) {
    const made = await ask({
      method: 'POST',
      url: api.base,
      json: { properties: { name, ...(scopes !== undefined && { scopes }) } },
      as: 'root',
    })
    t.equal(made.statusCode, 200, name)
    t.strictSame(made.json().properties.scopes, [])
    const nothing = await ask({ url: PULL, ...who(made) })
    t.strictSame(claimsOf(nothing.json().token).access, [])
    t.equal((await api.patch(made.json().id, { scopes: PULL_TEAM })).statusCode, 200)
    t.strictSame((await api.patch(made.json().id, { scopes: [] })).json().properties.scopes, [])
  }
})

t.test('PUT of an unknown id creates a registry token with that id', async (t) => {
  const properties = { name: 'put-new', scopes: PULL_TEAM, expiryDate: '2036-12-24T18:00:00Z' }
  const made = await api.put(ID, '', { properties })
  t.equal(made.statusCode, 201)
  t.match(made.headers, { location: `${api.base}/${ID}`, 'cache-control': 'no-store' })
  t.match(made.json(), { id: ID, properties: { ...properties, credentials: { password: /^rmt_/ } } })
  t.match((await api.get(ID)).json(), { id: ID, properties })
  t.strictSame(claimsOf((await ask({ url: PULL, ...who(made) })).json().token).access, [
    { type: 'repository', name: 'team/app', actions: ['pull'] },
  ])
  const again = await api.put(ID, '', { properties })
  t.equal(again.statusCode, 200, 'the next PUT replaces it')
})

t.test(
  'a registry token that is put back under its id works, access tokens from before its deletion do not',
  async (t) => {
    const made = await api.make({ name: 'put-back', scopes: PULL_TEAM })
    const { token: before } = (await ask({ url: PULL, as: made.as, password: made.password })).json()
    t.equal((await api.delete(made.id)).statusCode, 204)
    const back = await api.put(made.id, '', { properties: { name: 'put-back', scopes: PULL_TEAM } })
    t.equal(back.statusCode, 201)
    // The revocation list is polled each second.
    const oldStatus = async () => (await ask({ url: PULL, as: made.as, password: made.password })).statusCode
    await until(async () => (await oldStatus()) === 401, 'the old password is refused')
    const { token: after } = (await ask({ url: PULL, ...who(back) })).json()
    const authorization = 'Bearer the-credential-that-services-share'
    const { accounts } = (
      await askInternal({ url: '/internal/revocations', headers: { authorization } })
    ).json()
    t.ok(claimsOf(before).gen < accounts[made.id], 'an access token from before is revoked')
    t.ok(claimsOf(after).gen >= accounts[made.id], 'an access token from after is valid')
  },
)

t.test('PUT of an unknown id needs a body, an available name and id, and valid fields', async (t) => {
  const unknown = '3f0d2a8e-1111-4222-8333-944455550000'
  t.equal((await api.put(unknown)).statusCode, 404, 'without a body there is nothing to create')
  t.equal((await api.put(unknown, '', { properties: { name: 'put-new' } })).statusCode, 409)
  t.equal((await api.put(unknown, '', { properties: { name: 'alice' } })).statusCode, 409, "a user's name")
  t.equal((await api.put(unknown, '', { properties: { name: 'x' } })).statusCode, 400)
  t.equal((await api.put('no-uuid', '', { properties: { name: 'put-x' } })).statusCode, 404)
  const alice = await users.find('alice')
  t.equal(
    (await api.put(alice?.id ?? '', '', { properties: { name: 'put-x' } })).statusCode,
    409,
    "a user's id",
  )
  t.equal((await users.find('alice'))?.role, 'user')
  t.equal((await api.get(unknown)).statusCode, 404)
})
