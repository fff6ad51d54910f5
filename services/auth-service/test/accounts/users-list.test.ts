import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { planUser } from '../fixtures/accounts.ts'
import { startAuthService } from '../fixtures/auth-service.ts'

const { ask, db, users } = await startAuthService(t, await pgliteForTest(t))

/** Sixty together with the three existing ones. */
const NAMES = [
  'alice',
  'olga',
  'root',
  ...Array.from({ length: 57 }, (_, at) => `u${String(at).padStart(2, '0')}`),
]
await db
  .insertInto('accounts')
  .values(
    NAMES.slice(3).map((username) => ({
      username,
      directory: false,
      role: 'user' as const,
      namespaces: [],
      password_hash: 'x',
    })),
  )
  .execute()

const list = (query: string) => ask({ url: `/users${query}`, as: 'root' })
const namesOf = (users: { username: string }[]) => users.map(({ username }) => username)

const PAGES: readonly (readonly [query: string, from: number, to: number, next: string | undefined])[] = [
  ['', 0, 50, '</users?offset=50&limit=50>; rel="next"'],
  ['?offset=0&limit=50', 0, 50, '</users?offset=50&limit=50>; rel="next"'],
  ['?limit=51', 0, 50, '</users?offset=50&limit=50>; rel="next"'],
  ['?limit=1000000', 0, 50, '</users?offset=50&limit=50>; rel="next"'],
  ['?limit=99999999999', 0, 50, '</users?offset=50&limit=50>; rel="next"'],
  ['?limit=1', 0, 1, '</users?offset=1&limit=1>; rel="next"'],
  ['?offset=10&limit=7', 10, 17, '</users?offset=17&limit=7>; rel="next"'],
  ['?offset=50', 50, 60, undefined],
  ['?offset=50&limit=10', 50, 60, undefined],
  ['?offset=50&limit=9', 50, 59, '</users?offset=59&limit=9>; rel="next"'],
  ['?offset=60', 60, 60, undefined],
  ['?offset=99999', 60, 60, undefined],
]

t.test(
  'GET /users returns pages sorted by username, with the total and a link to the next page',
  async (t) => {
    for (const [query, from, to, next] of PAGES) {
      const response = await list(query)
      t.equal(response.statusCode, 200, query)
      t.strictSame(namesOf(response.json()), NAMES.slice(from, to))
      t.equal(String(response.headers['x-total-count']), '60')
      t.equal(response.headers['link'], next)
    }
  },
)

t.test('the links of GET /users lead to every user once', async (t) => {
  const seen: string[] = []
  let url: string | undefined = '/users?limit=7'
  while (url !== undefined) {
    const response = await ask({ url, as: 'root' })
    seen.push(...namesOf(response.json()))
    url = /<([^>]+)>/.exec(String(response.headers['link'] ?? ''))?.[1]
  }
  t.strictSame(seen, NAMES)
})

t.test('invalid pages of GET /users get 400', async (t) => {
  const cases = [
    ['?limit=0', 'limit'],
    ['?limit=-1', 'limit'],
    ['?limit=x', 'limit'],
    ['?limit=', 'limit'],
    ['?limit=1.5', 'limit'],
    ['?limit=1&limit=2', 'limit'],
    ['?offset=-1', 'offset'],
    ['?offset=1e3', 'offset'],
    ['?offset=', 'offset'],
    ['?page=2', 'page'],
    ['?username=alice', 'username'],
    ['?limit=5&Offset=1', 'Offset'],
  ] as const
  for (const [query, field] of cases) {
    const response = await list(query)
    t.equal(response.statusCode, 400, query)
    t.match(response.json(), { status: 400, field })
  }
})

t.test('GET /users shows each user like GET /user', async (t) => {
  const [alice] = (await list('?limit=1')).json()
  t.strictSame(alice, (await ask({ url: '/user?username=alice', as: 'root' })).json())
  await users.create(planUser('zoe', { namespaces: ['team'], enabled: false }))
  t.match((await list('?offset=60')).json(), [{ username: 'zoe', namespaces: ['team'], enabled: false }])
})

t.test('GET /users filters by a part of the username and by namespace', async (t) => {
  await users.create(planUser('a_b.c%d', { namespaces: ['lab/x', 'lab'] }))
  await users.create(planUser('axb', { namespaces: ['lab/x'] }))
  const directoryState = { dn: 'CN=dora', state: 'active', role: null, namespaces: ['lab'] } as const
  await users.create(planUser('dora', { directory: true, password: null, directoryState }))
  for (const [query, expected] of [
    ['?search=a_b', ['a_b.c%d']],
    ['?search=A_B', ['a_b.c%d']],
    [`?search=${encodeURIComponent('c%d')}`, ['a_b.c%d']],
    [`?search=${encodeURIComponent('\\')}`, []],
    ["?search=' or 1=1 --", []],
    ['?search=u5', ['u50', 'u51', 'u52', 'u53', 'u54', 'u55', 'u56']],
    ['?namespace=lab', ['a_b.c%d', 'dora']],
    ['?namespace=lab/x', ['a_b.c%d', 'axb']],
    ['?namespace=la', []],
    ['?namespace=lab/x&search=b.c', ['a_b.c%d']],
  ] as const) {
    const response = await list(query)
    t.strictSame(namesOf(response.json()), expected, query)
    t.equal(String(response.headers['x-total-count']), String(expected.length))
  }
  const page = await list('?search=u5&limit=3')
  t.equal(page.headers['link'], '</users?offset=3&limit=3&search=u5>; rel="next"')
  t.equal(String(page.headers['x-total-count']), '7')
  t.match((await list('?namespace=Lab')).json(), { status: 400, field: 'namespace' })
  t.match((await list('?search=a%00')).json(), { status: 400, field: 'search' })
})
