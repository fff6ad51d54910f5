import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import t from 'tap'
import { startAuthService } from '../fixtures/auth-service.ts'
import { ruleFor, trustRulesApi } from '../fixtures/trust-rules.ts'

const ISSUER = 'https://issuer.example'
const UNKNOWN = '00000000-0000-4000-8000-000000000000'

t.test('the management API of trust rules creates, lists, replaces and deletes rules', (t) =>
  onBothDatabases(t, async (t, db) => {
    const { ask } = await startAuthService(t, db)
    const api = trustRulesApi(ask)
    const events = async (action: string) =>
      (await ask({ url: `/audit?action=${action}`, as: 'root' })).json().items as readonly {
        readonly target: object
        readonly detail: object
        readonly principal: object
      }[]

    await t.test('a rule is created, shown and listed', async (t) => {
      const created = await api.post(ruleFor(ISSUER))
      t.equal(created.statusCode, 201)
      t.equal(created.headers['cache-control'], 'no-store')
      const rule = created.json()
      t.match(rule, {
        ...ruleFor(ISSUER),
        namespace: 'team',
        conditions: null,
        jwks: null,
        createdBy: 'root',
        createdAt: /^\d{4}-/,
        updatedAt: /^\d{4}-/,
      })
      t.equal(created.headers.location, `${api.base}/${rule.id}`)
      t.strictSame((await api.get(rule.id)).json(), rule)
      t.strictSame((await api.list()).json(), { items: [rule], next: null })
      t.strictSame((await trustRulesApi(ask, 'other').list()).json(), { items: [], next: null })
      t.equal((await trustRulesApi(ask, 'other').get(rule.id)).statusCode, 404, 'not by another namespace')
      const [event] = await events('trust-rule.create')
      t.match(event, {
        principal: { kind: 'user', name: 'root' },
        target: {
          kind: 'trust-rule',
          namespace: 'team',
          rule: 'pipeline',
          id: rule.id,
          name: 'team/pipeline',
        },
        detail: { issuer: ISSUER, claims: { repository: 'acme/app' }, jwks: null },
      })
      t.equal((await api.post(ruleFor(ISSUER))).statusCode, 409, 'a name belongs to one rule')
    })

    await t.test('a rule is replaced; an equal one changes nothing', async (t) => {
      const [{ id, ...before }] = (await api.list()).json().items
      const same = await api.put(id, ruleFor(ISSUER))
      t.strictSame(same.json(), { id, ...before })
      t.strictSame(await events('trust-rule.update'), [])
      const changed = await api.put(id, ruleFor(ISSUER, { audience: 'another', name: 'renamed' }))
      t.match(changed.json(), { id, audience: 'another', name: 'renamed', createdAt: before.createdAt })
      t.match(await events('trust-rule.update'), [
        {
          target: { name: 'team/renamed' },
          detail: { audience: { from: 'registry.example', to: 'another' }, name: { from: 'pipeline' } },
        },
      ])
      t.equal((await api.put(UNKNOWN, ruleFor(ISSUER))).statusCode, 404)
      await api.make(ruleFor(ISSUER))
      t.equal((await api.put(id, ruleFor(ISSUER))).statusCode, 409, 'another rule has the name')
      t.equal((await api.delete(id)).statusCode, 204)
      t.equal((await api.delete(id)).statusCode, 404)
      t.match(await events('trust-rule.delete'), [{ target: { id }, detail: { audience: 'another' } }])
    })

    await t.test('the whole list is replaced, and sending it again changes nothing', async (t) => {
      const [kept] = (await api.list()).json().items
      const items = [
        ruleFor(ISSUER, { name: 'b' }),
        ruleFor(ISSUER),
        ruleFor(ISSUER, { name: 'a', audience: 'x' }),
      ]
      const first = await api.putAll(items)
      t.equal(first.statusCode, 200)
      t.strictSame(
        first.json().items.map(({ name }: { name: string }) => name),
        ['a', 'b', 'pipeline'],
      )
      t.strictSame(first.json().items[2], kept, 'an equal rule stays untouched')
      const count = async () => (await ask({ url: '/audit?limit=200', as: 'root' })).json().items.length
      const before = await count()
      t.strictSame((await api.putAll(items)).json(), first.json())
      t.equal(await count(), before, 'no event')
      const fewer = await api.putAll([ruleFor(ISSUER, { name: 'a', audience: 'y' })])
      t.match(fewer.json(), { items: [{ id: first.json().items[0].id, audience: 'y' }], next: null })
      t.strictSame((await api.list()).json(), fewer.json())
      t.equal(await count(), before + 3, 'two deletions and a change')
      const twice = await api.putAll([ruleFor(ISSUER), ruleFor(ISSUER)])
      t.match(twice.json(), { status: 400, detail: 'items.1.name is given twice' })
      const wrong = await api.putAll([ruleFor(ISSUER, { issuer: 'http://issuer.example' })])
      t.match(wrong.json(), { status: 400, detail: /^items\.0\.issuer must be an https URL/ })
      t.strictSame((await api.list()).json(), fewer.json(), 'a refused list changes nothing')
    })

    await t.test('lists of trust rules have pages in the order of names', async (t) => {
      const names = ['z', 'a.b', 'a-b', 'a_b', '0'].map((name) => ruleFor(ISSUER, { name }))
      await api.putAll(names)
      const first = (await api.list('?limit=2')).json()
      const second = (await api.list(`?limit=2&after=${first.next}`)).json()
      const third = (await api.list(`?limit=2&after=${second.next}`)).json()
      const all = [first, second, third].flatMap(({ items }) =>
        items.map(({ name }: { name: string }) => name),
      )
      t.strictSame(all, ['0', 'a-b', 'a.b', 'a_b', 'z'])
      t.equal(third.next, null)
    })

    await t.test('a namespace has at most 100 rules', async (t) => {
      const many = Array.from({ length: 100 }, (_, at) => ruleFor(ISSUER, { name: `rule-${at}` }))
      t.equal((await api.putAll(many)).statusCode, 200)
      const more = await api.post(ruleFor(ISSUER))
      t.match(more.json(), { status: 409, detail: 'a namespace has at most 100 trust rules' })
      t.equal((await api.putAll([])).statusCode, 200)
    })

    await t.test('only those who may manage the namespace reach its rules', async (t) => {
      const questions = [
        { url: api.base },
        { url: api.base, method: 'POST', json: ruleFor(ISSUER) },
        { url: api.base, method: 'PUT', json: { items: [] } },
        { url: `${api.base}/${UNKNOWN}` },
        { url: `${api.base}/${UNKNOWN}`, method: 'PUT', json: ruleFor(ISSUER) },
        { url: `${api.base}/${UNKNOWN}`, method: 'DELETE' },
      ] as const
      for (const question of questions) {
        t.equal((await ask({ ...question, as: 'alice' })).statusCode, 403)
        t.equal((await ask(question)).statusCode, 401)
        const byOlga = (await ask({ ...question, as: 'olga' })).statusCode
        t.ok(byOlga < 400 || byOlga === 404, `an administrator of the namespace gets ${byOlga}`)
      }
    })

    await t.test('a namespace of several components is one percent-encoded path segment', async (t) => {
      const nested = trustRulesApi(ask, 'team/app')
      const response = await nested.post(ruleFor(ISSUER))
      t.match(response.json(), { namespace: 'team/app' })
      t.equal(response.headers.location, `/namespaces/team%2Fapp/trust-rules/${response.json().id}`)
    })
  }),
)

t.test('invalid fields of a trust rule get 400 with their name', async (t) => {
  const { ask } = await startAuthService(t, await pgliteForTest(t))
  const api = trustRulesApi(ask)
  const cases: readonly (readonly [change: object, detail: RegExp])[] = [
    [{ name: 'A' }, /^name must be 1 to 63 lower-case letters/],
    [{ issuer: 'a\nb' }, /^issuer must be 1 to 512 characters without control characters/],
    [{ issuer: 'issuer' }, /^issuer must be a URL such as/],
    [{ audience: '' }, /^audience must be 1 to 512 characters/],
    [{ claims: {} }, /^claims/],
    [{ claims: { repository: 5 } }, /^claims\.repository/],
    [{ claims: undefined }, /^claims is required/],
    [{ scopes: [] }, /^scopes/],
    [{ scopes: [{ type: 'repository', name: 'team/app', actions: ['admin'] }] }, /^scopes\.0\.actions/],
    [
      { scopes: [{ type: 'repository', name: 'other/app', actions: ['pull'] }] },
      /^scopes\.0\.name must be in/,
    ],
    [{ jwks: { keys: 5 } }, /^jwks/],
    [
      { conditions: { networks: ['10.0.0.0/33'] } },
      /^conditions\.networks must have addresses or CIDR ranges/,
    ],
    [{ conditions: { days: 'weekdays' } }, /^days is not a known field in conditions/],
    [{ more: 1 }, /^more is not a known field/],
  ]
  for (const [change, detail] of cases) {
    const response = await api.post(ruleFor(ISSUER, change))
    t.equal(response.statusCode, 400, JSON.stringify(change))
    t.match(response.json(), { detail }, JSON.stringify(change))
  }
  t.equal((await trustRulesApi(ask, 'Team').post(ruleFor(ISSUER))).statusCode, 400)
  t.equal((await api.get('not-an-id')).statusCode, 400)
  t.equal((await api.list('?limit=0')).statusCode, 400)
})
