import { pgliteForTest } from '@registry-manager/testing/pglite'
import { until } from '@registry-manager/testing/until'
import t from 'tap'
import { SERVICE_CREDENTIAL, claimsOf, startAuthService } from '../fixtures/auth-service.ts'
import { personalTokensApi } from '../fixtures/personal-tokens.ts'
import { tokensApi } from '../fixtures/registry-tokens.ts'

const { ask, askInternal, clock, users } = await startAuthService(t, await pgliteForTest(t), {
  trustedProxies: '127.0.0.1',
})
const [personal, registry] = [personalTokensApi(ask, 'alice'), await tokensApi(ask)]

interface Who {
  readonly as: string
  readonly password: string
}
const HERE = { networks: ['192.0.2.0/24'] }
const from = (address: string) => ({ 'x-forwarded-for': address })
const [INSIDE, OUTSIDE] = [from('192.0.2.7'), from('198.51.100.1')]
const TOKEN = '/auth/v2/token?scope=repository:team/app:pull,push%20registry:catalog:*'
const get = ({ as, password }: Who, headers: Record<string, string>, url = TOKEN) =>
  ask({ url, as, password, headers })
const exchange = async ({ as: username, password }: Who, address: string) => {
  const json = { username, password, address, access: null }
  const url = '/internal/token-exchanges'
  return (await askInternal({ method: 'POST', url, json, bearer: SERVICE_CREDENTIAL })).json()
}
const DETAIL = 'the token may not be used under these conditions: it applies to clients in 192.0.2.0/24 only'

t.test('a token gets access tokens only where its conditions hold, and a refusal names them', async (t) => {
  const made = {
    'a personal token': await personal.make({ name: 'here', conditions: { ...HERE, tags: 'v*' } }),
    'a registry token': await registry.make({
      name: 'here',
      scopes: [{ type: 'repository', name: 'team/*', actions: ['push'] }],
      conditions: { ...HERE, tags: 'v*' },
    }),
  }
  for (const [name, { id: _, ...who }] of Object.entries(made)) {
    const inside = await get(who, INSIDE)
    t.equal(inside.statusCode, 200, name)
    const { access } = claimsOf(inside.json().token)
    const limited = access?.map((entry) => [entry.name, entry.actions.join(), entry])
    t.match(limited, [
      ['team/app', 'pull', { ...HERE }],
      ['team/app', 'push', { ...HERE, tags: 'v*' }],
      ['catalog', '*', { ...HERE }],
    ])
    const outside = await get(who, OUTSIDE)
    t.equal(outside.statusCode, 401, name)
    t.equal(outside.json().errors[0].message, DETAIL)
    t.strictSame(await exchange(who, '198.51.100.1'), { outcome: 'refused', reason: DETAIL }, name)
    t.match(await exchange(who, '192.0.2.7'), { outcome: 'issued' })
    const bearer = (await get(who, INSIDE, '/auth/v2/token')).json().token
    t.equal((await ask({ url: TOKEN, bearer, headers: INSIDE })).statusCode, 200, 'an identity token')
    const taken = await ask({ url: TOKEN, bearer, headers: OUTSIDE })
    t.equal(taken.statusCode, 401, 'an identity token that is used elsewhere')
    t.equal(taken.json().errors[0].message, DETAIL)
  }
  const reasons = async () => {
    const { items } = (await ask({ url: '/audit?action=sign-in', as: 'root' })).json()
    return items.map(({ detail }: { detail: { reason: string } }) => detail.reason) as string[]
  }
  await until(async () => (await reasons()).includes('condition'), 'the refusals are recorded')
  t.notOk((await reasons()).includes('wrong-password'))
})

t.test('a token is valid in its time, and no access token outlives it', async (t) => {
  const start = Math.ceil(Date.now() / 1000) + 60
  const time = (seconds: number) => new Date(seconds * 1000).toISOString()
  const conditions = { notBefore: time(start), notAfter: time(start + 100) }
  const { id: _, ...who } = await personal.make({ name: 'soon', conditions })
  const early = await get(who, INSIDE)
  t.equal(early.statusCode, 401)
  t.match(early.json().errors[0].message, `it applies from ${conditions.notBefore} on`)
  clock.ahead = start * 1000 - Date.now() + 1000
  for (const url of [TOKEN, '/auth/v2/token']) {
    t.equal(claimsOf((await get(who, INSIDE, url)).json().token).exp, start + 100, url)
  }
  clock.ahead += 100_000
  t.match((await get(who, INSIDE)).json().errors[0].message, `it ended at ${conditions.notAfter}`)
  clock.ahead = 0
})

t.test('management APIs accept a personal token where its conditions hold', async (t) => {
  const { id: _, ...who } = await personal.make({ name: 'managing', conditions: HERE })
  t.equal((await get(who, INSIDE, '/user')).statusCode, 200)
  t.equal((await get(who, OUTSIDE, '/user')).statusCode, 401)
  const bearer = (await get(who, INSIDE, '/auth/v2/token')).json().token
  t.equal((await ask({ url: '/user', bearer, headers: INSIDE })).statusCode, 200)
  const elsewhere = await ask({ url: '/user', bearer, headers: OUTSIDE })
  t.equal(elsewhere.statusCode, 403)
  t.equal(
    elsewhere.json().detail,
    'this personal token has a condition: it applies to clients in 192.0.2.0/24 only',
  )
  const tagged = await personal.make({ name: 'tagged', conditions: { tags: 'v*' } })
  const refused = await get({ as: tagged.as, password: tagged.password }, INSIDE, '/user')
  t.equal(refused.statusCode, 403)
  t.match(refused.json().detail, 'limited to tags that match v*')
})

t.test('conditions are shown, and the conditions of a registry token can be changed', async (t) => {
  const { id } = await personal.make({
    name: 'shown',
    conditions: { networks: ['192.0.2.0/24', '10.0.0.1'] },
  })
  t.strictSame((await personal.get(id)).json().conditions, { networks: ['10.0.0.1', '192.0.2.0/24'] })
  const { id: plain } = await personal.make({ name: 'plain', conditions: null })
  t.equal((await personal.get(plain)).json().conditions, null)

  const made = await registry.make({ name: 'changed' })
  const shown = async () => (await registry.get(made.id)).json().properties
  t.notOk('conditions' in (await shown()), 'a registry token without conditions looks as it does in seed 004')
  const { gen } = claimsOf((await get(made, INSIDE)).json().token)
  t.equal((await registry.patch(made.id, { conditions: HERE })).statusCode, 200)
  t.strictSame((await shown()).conditions, HERE)
  t.equal(claimsOf((await get(made, INSIDE)).json().token).gen, gen + 1, 'earlier access tokens have ended')
  await registry.patch(made.id, { conditions: HERE, status: 'enabled' })
  t.equal(claimsOf((await get(made, INSIDE)).json().token).gen, gen + 1, 'nothing has changed')
  t.equal((await get(made, OUTSIDE)).statusCode, 401)
  await registry.patch(made.id, { conditions: null })
  t.notOk('conditions' in (await shown()))
  t.equal((await get(made, OUTSIDE)).statusCode, 200)
  const { items } = (await ask({ url: '/audit?action=registry-token.update', as: 'root' })).json()
  t.match(items[0], { detail: { conditions: { from: HERE, to: null } } })
})

t.test('the internal API returns the conditions of tokens, tag patterns included', async (t) => {
  const conditions = { ...HERE, tags: 'v*' }
  const { id: via } = await personal.make({ name: 'facts', conditions })
  const { id } = await registry.make({ name: 'facts', conditions })
  const uid = (await users.find('alice'))?.id
  for (const path of [`${uid}/via/${via}`, id]) {
    const facts = await askInternal({ url: `/internal/accounts/${path}`, bearer: SERVICE_CREDENTIAL })
    t.strictSame(facts.json().conditions, conditions, path)
  }
})

t.test('bad conditions are refused with the field', async (t) => {
  const cases = [
    [{ networks: ['10.0.0.0/99'] }, 'conditions.networks'],
    [{ networks: [] }, 'conditions.networks'],
    [{ notBefore: '2027-01-01T00:00:00Z', notAfter: '2026-01-01T00:00:00Z' }, 'conditions.notAfter'],
    [{ tags: 'v/1' }, 'conditions.tags'],
    [{ weekday: 'monday' }, 'conditions'],
  ] as const
  for (const [conditions, field] of cases) {
    const refused = await personal.post({ name: 'bad', conditions })
    t.equal(refused.statusCode, 400, JSON.stringify(conditions))
    t.match(refused.json().detail, field)
    const ofRegistry = await registry.post({ name: 'bad', conditions })
    t.equal(ofRegistry.statusCode, 400, JSON.stringify(conditions))
    t.match(ofRegistry.json().messages[0].message, field)
  }
})
