import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import type { Question } from '../fixtures/auth-service.ts'
import { passwordOf, startAuthService } from '../fixtures/auth-service.ts'
import { PUSH_TEAM, personalTokensApi } from '../fixtures/personal-tokens.ts'
import { tokensApi } from '../fixtures/registry-tokens.ts'

const service = await startAuthService(t, await pgliteForTest(t))
const { ask, db, clock, lines, answers, users } = service
const alice = personalTokensApi(ask, 'alice')
const olga = personalTokensApi(ask, 'olga')
const root = personalTokensApi(ask, 'root')
const NONE = '0b0e7d5e-54b5-4c1e-a7a0-5d4d2f7a3a11'
const PERSON = { directory: false, role: 'user', enabled: true, namespaces: [] } as const

const namesOf = (response: { json(): { items: { name: string }[]; next: string | null } }) =>
  response.json().items.map(({ name }) => name)
const eventsOf = (action: string) =>
  db.selectFrom('events').selectAll().where('action', '=', action).orderBy('id').execute()

t.test('a user makes a personal token, whose password only this response has', async (t) => {
  const response = await alice.post({
    name: 'Laptop 1',
    expiryDate: '2036-06-30T00:00:00.5+00:00',
    scopes: [...PUSH_TEAM, { type: 'repository', name: 'team', actions: ['delete'] }],
  })
  t.equal(response.statusCode, 201)
  const { password, ...shown } = response.json()
  t.match(password, /^rmp_[0-9A-Za-z]{36}$/)
  t.strictSame(Object.keys(shown), [
    'id',
    'name',
    'username',
    'scopes',
    'conditions',
    'expiryDate',
    'state',
    'createdDate',
    'lastUsedDate',
    'lastUsedAddress',
    'notes',
  ])
  t.match(shown, {
    name: 'Laptop 1',
    username: 'alice',
    expiryDate: '2036-06-30T00:00:00Z',
    state: 'active',
    createdDate: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
    lastUsedDate: null,
    notes: [/^scope team covers only the repository team/],
  })
  t.equal(response.headers.location, `/personal-tokens/${shown.id}`)
  t.equal(response.headers['cache-control'], 'no-store')
  t.strictSame((await alice.get(shown.id)).json(), shown)
  t.strictSame((await alice.list()).json(), { items: [shown], next: null })
  const stored = JSON.stringify([
    await db.selectFrom('personal_tokens').selectAll().execute(),
    await db.selectFrom('events').selectAll().execute(),
  ])
  t.notOk(stored.includes(password) || lines.join('').includes(password), 'it is neither stored nor logged')
  t.equal(answers.filter((body) => body.includes(password)).length, 1)
})

t.test('a personal token without scopes and expiry has all rights of its owner, for ever', async (t) => {
  const given = { name: 'plain', scopes: null, expiryDate: null }
  t.match((await olga.post(given)).json(), { scopes: null, expiryDate: null, notes: undefined })
})

t.test('invalid personal tokens get 400 with the name of the field', async (t) => {
  const cases: readonly (readonly [json: object, detail: RegExp])[] = [
    [{}, /^name is required/],
    [{ name: '' }, /^name must be 1 to 64 letters/],
    [{ name: ' laptop' }, /^name must be 1 to 64 letters/],
    [{ name: 'lap\0top' }, /^name must be 1 to 64 letters/],
    [{ name: 'a'.repeat(65) }, /^name must be 1 to 64 letters/],
    [{ name: 'past', expiryDate: '2020-01-01T00:00:00Z' }, /^expiryDate must be in the future/],
    [{ name: 'odd', expiryDate: 'tomorrow' }, /^expiryDate must be/],
    [{ name: 'none', scopes: [] }, /^scopes must be 1 to 100 scopes, or null for all that you may do/],
    [
      { name: 'wild', scopes: [{ ...PUSH_TEAM[0], name: 'te*m' }] },
      /^scopes\.0\.name must be a repository name/,
    ],
    [
      { name: 'no', scopes: [{ ...PUSH_TEAM[0], actions: [] }] },
      /^scopes\.0\.actions must be one or more of/,
    ],
    [{ name: 'more', username: 'root' }, /^username is not a known field/],
  ]
  for (const [json, detail] of cases) {
    const response = await ask({ method: 'POST', url: '/personal-tokens', json, as: 'alice' })
    t.equal(response.statusCode, 400, JSON.stringify(json))
    t.match(response.json(), { status: 400, detail })
  }
  const headers = { 'content-type': 'application/json' }
  const empty = await ask({ method: 'POST', url: '/personal-tokens', as: 'alice', headers })
  t.equal(empty.statusCode, 400, 'without a body')
  t.equal((await alice.get('nonsense')).statusCode, 400)
  t.equal((await alice.list('?limit=0')).statusCode, 400)
  t.equal((await alice.list('?username=%00')).statusCode, 400)
  t.equal((await alice.list('?after=%00')).statusCode, 400)
})

t.test(
  'an owner cannot create two personal tokens whose names differ only in upper and lower case',
  async (t) => {
    await alice.make({ name: 'unique' })
    const again = await alice.post({ name: 'UNIQUE' })
    t.equal(again.statusCode, 409)
    t.match(again.json(), { field: 'name', detail: /you already have a personal token with this name/ })
    t.equal((await olga.post({ name: 'unique' })).statusCode, 201, 'another user may have it')
  },
)

t.test('a user has at most 100 personal tokens, also with concurrent requests', async (t) => {
  await users.create({ ...PERSON, username: 'many', password: passwordOf('many') })
  const many = personalTokensApi(ask, 'many')
  const made = await Promise.all(Array.from({ length: 105 }, (_, at) => many.post({ name: `number ${at}` })))
  t.equal(made.filter(({ statusCode }) => statusCode === 201).length, 100)
  t.match(made.find(({ statusCode }) => statusCode === 409)?.json().detail, /100 personal tokens/)
  const names: string[] = []
  for (let query: string | null = '?limit=33'; query !== null;) {
    const page: { items: { name: string }[]; next: string | null } = (await many.list(query)).json()
    names.push(...page.items.map(({ name }) => name))
    query = page.next === null ? null : `?limit=33&after=${encodeURIComponent(page.next)}`
  }
  t.equal(names.length, 100, 'pages together have all of them')
  t.strictSame(names, names.toSorted())
  await db
    .updateTable('personal_tokens')
    .set({ expires_at: new Date(0) })
    .where('name', '=', 'number 1')
    .execute()
  t.equal((await many.post({ name: 'instead' })).statusCode, 201, 'an expired one does not count')
  t.equal((await many.post({ name: 'one more' })).statusCode, 409)
})

t.test(
  'users see and delete only their own personal tokens, cluster administrators those of everybody',
  async (t) => {
    const { id } = await alice.make({ name: 'hers' })
    t.equal((await olga.get(id)).statusCode, 404)
    t.equal((await olga.delete(id)).statusCode, 404)
    t.equal((await olga.list('?username=alice')).statusCode, 403)
    t.ok(namesOf(await alice.list('?username=alice')).includes('hers'))
    t.ok(namesOf(await root.list('?username=Alice')).includes('hers'))
    t.notOk(namesOf(await root.list()).includes('hers'))
    t.equal((await root.list('?username=nobody')).statusCode, 404)
    t.match((await root.get(id)).json(), { name: 'hers', username: 'alice' })
    const headers = { 'content-type': 'application/json' }
    const deleted = await ask({ method: 'DELETE', url: `/personal-tokens/${id}`, as: 'root', headers })
    t.equal(deleted.statusCode, 204)
    t.equal((await root.delete(id)).statusCode, 404)
    t.equal((await alice.get(id)).statusCode, 404)
    t.equal((await alice.get(NONE)).statusCode, 404)
  },
)

t.test('events name the owner, the personal token and the principal of the change', async (t) => {
  const { id } = await alice.make({ name: 'audited', scopes: PUSH_TEAM })
  await root.delete(id)
  const target = {
    kind: 'personal-token',
    name: 'alice/audited',
    account: 'alice',
    token: 'audited',
    tokenId: id,
  }
  t.match((await eventsOf('personal-token.create')).at(-1), {
    principal_kind: 'user',
    principal_name: 'alice',
    account_name: 'alice',
    target,
    detail: { scopes: PUSH_TEAM, expiryDate: null },
  })
  t.match((await eventsOf('personal-token.delete')).at(-1), {
    principal_name: 'root',
    account_name: 'alice',
    target,
    detail: { scopes: PUSH_TEAM },
  })
})

t.test('an expired personal token is shown as expired', async (t) => {
  const expiryDate = new Date(Date.now() + 100_000).toISOString()
  const { id } = await alice.make({ name: 'ends', expiryDate })
  clock.ahead = 101_000
  t.match((await alice.get(id)).json(), { state: 'expired' })
  clock.ahead = 0
})

const ALL_ROUTES: readonly Question[] = [
  { method: 'POST', url: '/personal-tokens', json: { name: 'another' } },
  { url: '/personal-tokens' },
  { url: `/personal-tokens/${NONE}` },
  { method: 'DELETE', url: `/personal-tokens/${NONE}` },
]

t.test('only users who sign in themselves manage personal tokens', async (t) => {
  const unlimited = await root.make({ name: 'unlimited' })
  const identityOf = async (who: { as: string; password?: string }) =>
    (await ask({ url: '/auth/v2/token', ...who })).json().token as string
  const machine = await (await tokensApi(ask)).make({ name: 'machine' })
  const who: readonly (readonly [credentials: object, status: number])[] = [
    [{}, 401],
    [{ as: 'alice', password: 'wrong-password' }, 401],
    [{ as: unlimited.as, password: unlimited.password }, 403],
    [{ bearer: await identityOf(unlimited) }, 403],
    [{ as: machine.as, password: machine.password }, 403],
  ]
  for (const question of ALL_ROUTES) {
    for (const [credentials, status] of who) {
      const response = await ask({ ...question, ...credentials })
      t.equal(response.statusCode, status, `${question.method ?? 'GET'} ${question.url}`)
      t.match(response.headers['content-type'], 'application/problem+json')
    }
  }
  const bearer = await identityOf({ as: 'alice' })
  t.equal((await ask({ url: '/personal-tokens', bearer })).statusCode, 200, 'an identity token of a user')
})
