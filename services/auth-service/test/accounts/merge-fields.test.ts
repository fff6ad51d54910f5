import { createMetrics, createServer, parseForms, parseJsonBodies } from '@registry-manager/http'
import t from 'tap'
import { Type } from 'typebox'
import { mergeFields } from '../../src/accounts/merge-fields.ts'
import { PasswordInput, UserInput, UsersQuery } from '../../src/accounts/user-input.ts'

/** All fields of the users API, as one optional set. */
const Every = Type.Partial(
  Type.Object({ ...UserInput.properties, ...PasswordInput.properties, ...UsersQuery.properties }),
  { additionalProperties: false },
)
const EVERY = Object.keys(Every.properties)

const app = createServer({ name: 'test', logLevel: 'silent', metrics: createMetrics('test') })
t.teardown(() => app.close())
parseForms(app)
parseJsonBodies(app)
app.post('/', { schema: { body: Every }, preValidation: mergeFields }, async ({ body }) => body)
app.get('/', { schema: { querystring: Every }, preValidation: mergeFields }, async ({ query }) => query)
app.post('/some', {
  schema: { body: Type.Object({ username: Type.Optional(UserInput.properties.username) }) },
  preValidation: mergeFields,
  handler: async ({ body }) => body,
})

type Way = 'json' | 'form' | 'query of a GET' | 'query of a POST'

async function send(way: Way, fields: Readonly<Record<string, unknown>>, url = '/') {
  if (way === 'json') return app.inject({ method: 'POST', url, payload: fields })
  const text = new URLSearchParams(fields as Record<string, string>).toString()
  if (way === 'query of a GET') return app.inject(`${url}?${text}`)
  if (way === 'query of a POST') return app.inject({ method: 'POST', url: `${url}?${text}` })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return app.inject({ method: 'POST', url, headers, payload: text })
}

/** Text can be given in every way, other values only in JSON. */
const waysOf = (given: unknown): readonly Way[] =>
  typeof given === 'string' ? ['json', 'form', 'query of a GET', 'query of a POST'] : ['json']

/** Values that the schema fills in where a list is not given any. */
const DEFAULTS = { offset: 0, limit: 50 }

/** [field, [given, value]…] */
const GOOD: readonly (readonly [field: string, ...(readonly [given: unknown, value: unknown])[]])[] = [
  [
    'username',
    ['alice', 'alice'],
    ['Alice', 'alice'],
    ['0', '0'],
    ['a._@-', 'a._@-'],
    ['a'.repeat(255), 'a'.repeat(255)],
  ],
  ['username', ['alice@example.com', 'alice@example.com']],
  ['current_password', ['x', 'x'], ['', '']],
  ['password', ['x', 'x'], ['', ''], ['a:b cü', 'a:b cü']],
  ...(['ad', 'admin', 'enabled'] as const).flatMap((field) => [
    [field, ['true', true], ['1', true], ['TRUE', true], [true, true], [1, true]] as const,
    [field, ['false', false], ['0', false], ['False', false], [false, false], [0, false]] as const,
  ]),
  [
    'role',
    ['user', 'user'],
    ['administrator', 'administrator'],
    ['cluster-administrator', 'cluster-administrator'],
  ],
  ['namespaces', ['team', ['team']], ['team,other/sub', ['team', 'other/sub']], [' a , b ', ['a', 'b']]],
  [
    'namespaces',
    ['', []],
    [[], []],
    [[''], []],
    [
      ['b', 'a'],
      ['b', 'a'],
    ],
    ['a,a', ['a', 'a']],
  ],
  ['offset', ['0', 0], ['17', 17], [3, 3]],
  ['limit', ['1', 1], ['51', 51], ['9999999999', 9_999_999_999], [50, 50]],
  ['search', ['a_b%', 'a_b%'], ['', ''], ['A', 'A']],
  ['namespace', ['team', 'team'], ['team/app', 'team/app']],
]

t.test('valid values of each field are converted, whichever way they are given', async (t) => {
  for (const [field, ...values] of GOOD) {
    for (const [given, value] of values) {
      for (const way of waysOf(given)) {
        const response = await send(way, { [field]: given })
        const shown = `${field}: ${JSON.stringify(given).slice(0, 40)} by ${way}`
        t.strictSame(response.json(), { ...DEFAULTS, [field]: value }, shown)
      }
    }
  }
})

const BAD: Readonly<Record<string, readonly unknown[]>> = {
  username: [
    '',
    '.a',
    '-a',
    '@a',
    '_a',
    'a b',
    'a:b',
    'a/b',
    'ü',
    'a\0',
    'a\n',
    'a,b',
    'a'.repeat(256),
    1,
    null,
    true,
    ['a'],
    {},
  ],
  password: [1, null, true, ['x'.repeat(8)], { length: 8 }, 12_345_678],
  current_password: [1, null, true, ['x'], {}],
  ad: ['', 'yes', 'on', 'tru', '2', 2, -1, null, [], [true], {}],
  admin: ['', 'yes', ' true', '01', 1.5, null, ['true'], {}],
  enabled: ['', 'no', 'null', 'undefined', null, [], {}],
  role: ['', 'admin', 'User', 'root', null, 1, true, ['user'], {}],
  namespaces: [
    'a,,b',
    ',',
    'a,',
    'A',
    '/a',
    'a/',
    'a//b',
    '..',
    'a/../b',
    '*',
    'a b',
    null,
    1,
    true,
    {},
    [['a']],
    [1],
    ['a', ''],
    [null],
  ],
  offset: ['', '-1', '1.5', 'x', '1e3', ' 1', '0x1', -1, 1.5, null, true, [], {}],
  limit: ['', '0', '-1', '1.5', 'x', 0, -1, 2.5, null, true, []],
  search: ['a\0', 'a'.repeat(256), null, 1, true, [], {}],
  namespace: ['', 'A', 'a/', '*', 'a,b', 'a'.repeat(254), null, 1, ['a'], {}],
}

t.test('an invalid value is refused by the name of its field, whichever way it is given', async (t) => {
  for (const [field, values] of Object.entries(BAD)) {
    for (const given of values) {
      for (const way of waysOf(given)) {
        const response = await send(way, { [field]: given })
        const shown = `${field}: ${JSON.stringify(given)?.slice(0, 40)} by ${way}`
        t.equal(response.statusCode, 400, shown)
        t.match(response.json().field, new RegExp(`^${field}(?:\\.\\d+)?$`), shown)
        t.match(response.json().detail, /^\S+ (?:must be|must not contain NUL)/, shown)
      }
    }
  }
})

t.test('the messages about invalid values are in plain words', async (t) => {
  for (const [field, given, detail] of [
    [
      'username',
      'a b',
      'username must be 1 to 255 letters, digits or . _ @ -, and start with a letter or digit',
    ],
    ['ad', 'yes', 'ad must be true or false (or 1 or 0)'],
    ['role', 'root', 'role must be one of cluster-administrator, administrator, user'],
    ['namespaces', 'team,A', 'namespaces.1 must be repository path components, such as team or team/app'],
    ['offset', '-1', 'offset must be a whole number of 0 or more'],
    ['limit', '0', 'limit must be a whole number of 1 or more'],
    ['search', 'a'.repeat(256), 'search must be at most 255 characters long and must not contain NUL'],
  ] as const) {
    t.equal((await send('form', { [field]: given })).json().detail, detail)
  }
  t.equal(
    (await send('json', { namespaces: 1 })).json().detail,
    'namespaces must be at most 1000 namespaces, comma-separated or as a list',
  )
})

t.test('a list of namespaces has at most a thousand entries', async (t) => {
  const many = (count: number) => Array.from({ length: count }, (_, at) => `n${at}`)
  t.equal((await send('json', { namespaces: many(1000) })).json().namespaces.length, 1000)
  for (const namespaces of [many(1001), many(1001).join(',')]) {
    t.match((await send('json', { namespaces })).json(), { status: 400, field: 'namespaces' })
  }
})

t.test('fields of the query and of the body are combined', async (t) => {
  const response = await app.inject({ method: 'POST', url: '/?username=alice', payload: { admin: true } })
  t.strictSame(response.json(), { ...DEFAULTS, username: 'alice', admin: true })
  t.strictSame((await app.inject({ method: 'POST', url: '/' })).json(), DEFAULTS)
})

t.test('a field that is given twice is refused, in one place or in two', async (t) => {
  for (const field of EVERY) {
    const good = String(GOOD.find(([name]) => name === field)?.[1]?.[0])
    const fault = { status: 400, field, detail: `${field} is given twice` }
    const twice = new URLSearchParams([
      [field, good],
      [field, good],
    ])
    t.match((await app.inject(`/?${twice}`)).json(), fault, `${field} twice in the query`)
    const both = { method: 'POST', url: `/?${field}=${encodeURIComponent(good)}` } as const
    t.match((await app.inject({ ...both, payload: { [field]: good } })).json(), fault, `${field} in both`)
  }
})

t.test('an unknown field is refused by its name, before any other fault', async (t) => {
  const names = ['passwd', 'Username', 'id', '', 'namespaces[]', '__proto__', 'constructor', 'toString', 'ü']
  for (const field of names) {
    const payload = `{${JSON.stringify(field)}:"x","offset":"x"}`
    const headers = { 'content-type': 'application/json' }
    const response = await app.inject({ method: 'POST', url: '/', headers, payload })
    t.equal(response.statusCode, 400, JSON.stringify(field))
    // The parser refuses this one, without a field.
    if (field !== '__proto__') t.match(response.json(), { field })
  }
  const { detail } = (await send('json', { password: 'x' }, '/some')).json()
  t.equal(detail, 'password is not a known field; known fields are username')
})

t.test('a body that is no object is refused', async (t) => {
  for (const payload of ['[]', '1', '"username"', 'true']) {
    const headers = { 'content-type': 'application/json' }
    const response = await app.inject({ method: 'POST', url: '/', headers, payload })
    t.match(response.json(), { status: 400, detail: 'the body must be an object' }, payload)
  }
})

t.test('no message contains a password', async (t) => {
  const responses = [
    await send('json', { password: ['hunter2-hunter2'] }),
    await app.inject('/?password=hunter2-hunter2&password=hunter2-hunter2'),
  ]
  for (const { statusCode, body } of responses) {
    t.equal(statusCode, 400)
    t.notMatch(body, 'hunter2')
  }
})
