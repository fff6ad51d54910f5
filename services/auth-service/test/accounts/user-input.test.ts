import t from 'tap'
import type { UserField } from '../../src/accounts/user-input.ts'
import { parseUserInput } from '../../src/accounts/user-input.ts'

const EVERY: readonly UserField[] = [
  'username',
  'password',
  'current_password',
  'ad',
  'admin',
  'role',
  'enabled',
  'namespaces',
  'offset',
  'limit',
  'search',
  'namespace',
]
const parse = (...sources: (readonly (readonly [string, unknown])[])[]) => parseUserInput(sources, EVERY)

/** [field, [given, parsed]…] */
const GOOD: readonly (readonly [UserField, ...(readonly [given: unknown, value: unknown])[]])[] = [
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
  ['password', ['x', 'x'], ['', ''], ['a:b c\0ü', 'a:b c\0ü']],
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
  ['namespaces', ['team', ['team']], ['team,other/sub', ['other/sub', 'team']], [' a , b ', ['a', 'b']]],
  [
    'namespaces',
    ['', []],
    [[], []],
    [
      ['b', 'a'],
      ['a', 'b'],
    ],
    ['a,a', ['a']],
  ],
  ['offset', ['0', 0], ['17', 17], [3, 3]],
  ['limit', ['1', 1], ['51', 51], ['9999999999', 9_999_999_999], [50, 50]],
  ['search', ['a_b%', 'a_b%'], ['', ''], ['A', 'A']],
  ['namespace', ['team', 'team'], ['team/app', 'team/app']],
]

t.test('valid values of each field are parsed', async (t) => {
  for (const [field, ...values] of GOOD) {
    for (const [given, value] of values) {
      t.strictSame(
        parse([[field, given]]),
        { input: { [field]: value } },
        `${field}: ${JSON.stringify(given)}`,
      )
    }
  }
})

const BAD: Readonly<Record<UserField, readonly unknown[]>> = {
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

t.test('an invalid value is a fault that names the field', async (t) => {
  for (const [field, values] of Object.entries(BAD)) {
    for (const given of values) {
      t.match(
        parse([[field, given]]),
        { fault: { field, detail: /must be/ } },
        `${field}: ${JSON.stringify(given)}`,
      )
    }
  }
})

t.test('a list of namespaces has at most a thousand entries', async (t) => {
  const many = (count: number) => Array.from({ length: count }, (_, at) => `n${at}`)
  const parsed = parse([['namespaces', many(1000)]])
  t.equal('input' in parsed && parsed.input.namespaces?.length, 1000)
  t.match(parse([['namespaces', many(1001)]]), { fault: { field: 'namespaces' } })
})

t.test('fields of the query and of the body are combined', async (t) => {
  t.strictSame(parse([['username', 'alice']], [['admin', true]]), {
    input: { username: 'alice', admin: true },
  })
  t.strictSame(parse([], []), { input: {} })
})

t.test('a field that is given twice is a fault, in one source or in two', async (t) => {
  for (const field of EVERY) {
    const good = GOOD.find(([name]) => name === field)?.[1]?.[0]
    const fault = { field, detail: 'is given twice' }
    t.strictSame(
      parse([
        [field, good],
        [field, good],
      ]),
      { fault },
      `${field} twice in one place`,
    )
    t.strictSame(parse([[field, good]], [[field, good]]), { fault }, `${field} in query and body`)
  }
})

t.test('an unknown field is a fault that names it', async (t) => {
  for (const field of [
    'passwd',
    'Username',
    'id',
    '',
    'namespaces[]',
    '__proto__',
    'constructor',
    'toString',
    'ü',
  ]) {
    t.match(parse([[field, 'x']]), { fault: { field } }, JSON.stringify(field))
  }
  const known: readonly UserField[] = ['username']
  t.match(
    parseUserInput([[['password', 'x']]], known),
    { fault: { field: 'password' } },
    'a field of another route',
  )
})

t.test('no fault contains a password', async (t) => {
  const given = [
    parse([['password', ['hunter2']]]),
    parse([
      ['password', 'hunter2'],
      ['password', 'hunter2'],
    ]),
  ]
  for (const parsed of given) t.notMatch(JSON.stringify(parsed), 'hunter2')
})
