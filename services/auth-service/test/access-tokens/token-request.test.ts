import { ProblemError } from '@registry-manager/http'
import t from 'tap'
import type { GrantForm } from '../../src/access-tokens/token-request.ts'
import {
  fromTokenForm,
  fromTokenQuery,
  isAcceptedService,
  readParameters,
} from '../../src/access-tokens/token-request.ts'
import type { TokenQuery } from '../../src/access-tokens/token-schemas.ts'

const read = (text: string) => readParameters(new URLSearchParams(text))
const query = (text: string) => fromTokenQuery(read(text) as TokenQuery)
const form = (text: string) => fromTokenForm(read(text) as GrantForm)
const scope = (name: string, ...actions: string[]) => ({ type: 'repository', name, actions })
const base = { service: undefined, scopes: null, requestsRefreshToken: false, clientId: '' }

const QUERIES: readonly (readonly [why: string, text: string, request: object])[] = [
  ['nothing', '', base],
  ['a service', 'service=registry.example', { ...base, service: 'registry.example' }],
  ['an empty scope is none', 'scope=', base],
  ['a scope', 'scope=repository:a/b:pull', { ...base, scopes: [scope('a/b', 'pull')] }],
  [
    'an escaped scope',
    'scope=repository%3Aa%2Fb%3Apull%2Cpush',
    { ...base, scopes: [scope('a/b', 'pull', 'push')] },
  ],
  [
    'several in one, by a plus sign',
    'scope=repository:a:pull+repository:b:pull',
    { ...base, scopes: [scope('a', 'pull'), scope('b', 'pull')] },
  ],
  [
    'several parameters',
    'scope=repository:a:pull&x=y&scope=repository:b:push',
    { ...base, scopes: [scope('a', 'pull'), scope('b', 'push')] },
  ],
  [
    'what docker login sends',
    'account=a&client_id=docker&offline_token=true&service=s',
    {
      ...base,
      service: 's',
      requestsRefreshToken: true,
      clientId: 'docker',
    },
  ],
  ['offline_token=1', 'offline_token=1', { ...base, requestsRefreshToken: true }],
  ['offline_token=false', 'offline_token=false', base],
  [
    'unknown parameters, ignored',
    'foo=bar&grant_type=password&username=a&password=b&access_type=offline',
    base,
  ],
]

t.test('the query of a GET request for a token is parsed', async (t) => {
  for (const [why, text, request] of QUERIES) t.strictSame(query(text), request, why)
})

const password = { type: 'password', username: 'alice', password: 'a b' }
const FORMS: readonly (readonly [why: string, text: string, request: object])[] = [
  ['a password', 'grant_type=password&username=alice&password=a+b', { ...base, grant: password }],
  [
    'a password, with everything',
    'grant_type=password&service=s&client_id=c&scope=repository:a:pull&access_type=offline&username=alice&password=a%20b',
    {
      service: 's',
      clientId: 'c',
      scopes: [scope('a', 'pull')],
      requestsRefreshToken: true,
      grant: password,
    },
  ],
  [
    'a refresh token',
    'grant_type=refresh_token&refresh_token=r&service=s',
    {
      ...base,
      service: 's',
      grant: { type: 'refresh_token', refreshToken: 'r' },
    },
  ],
  [
    'online access',
    'grant_type=password&username=alice&password=a+b&access_type=online&offline_token=true',
    {
      ...base,
      grant: password,
    },
  ],
  [
    'unknown parameters, ignored',
    'grant_type=password&username=alice&password=a+b&foo=bar',
    {
      ...base,
      grant: password,
    },
  ],
]

t.test('the form of a POST request for a token is parsed', async (t) => {
  for (const [why, text, request] of FORMS) t.strictSame(form(text), request, why)
})

const scopes = (count: number) => Array.from({ length: count }, (_, at) => `repository:a${at}:pull`)

t.test('a hundred scopes are parsed', async (t) => {
  for (const text of [
    `scope=${scopes(100).join('+')}`,
    scopes(100)
      .map((one) => `scope=${one}`)
      .join('&'),
  ]) {
    t.equal(query(text).scopes?.length, 100)
  }
})

t.test('scopes after the first hundred are dropped', async (t) => {
  const first = scopes(100).map((_, at) => scope(`a${at}`, 'pull'))
  for (const text of [
    `scope=${scopes(101).join('+')}`,
    `scope=${scopes(5000).join('+')}`,
    scopes(101)
      .map((one) => `scope=${one}`)
      .join('&'),
  ]) {
    t.strictSame(query(text).scopes, first)
  }
})

t.test('a parameter without a value counts as absent', async (t) => {
  t.strictSame(query('service=&scope=&client_id=&offline_token=&account='), base)
  const given = 'grant_type=password&username=alice&password=a+b&service=&scope=&access_type=&refresh_token='
  t.strictSame(form(given), { ...base, grant: password })
})

t.test('an unknown scope is dropped, and does not request an identity token', async (t) => {
  for (const text of ['scope=repository:x:', 'scope=oops', 'scope=repository:x:metadata_read', 'scope=::']) {
    t.strictSame(query(text), { ...base, scopes: [] }, text)
  }
  const mixed = 'scope=repository:a:pull,metadata_read+repository:x:+repository(plugin):b:pull'
  t.strictSame(query(mixed), { ...base, scopes: [scope('a', 'pull'), scope('b', 'pull')] })
})

t.test('only scope is read as a list from a query or a form', async (t) => {
  t.strictSame(read('service=a&scope=x&foo=&scope=y+z&client_id=b&scope='), {
    service: 'a',
    client_id: 'b',
    scope: ['x', 'y z'],
  })
  t.strictSame(read('service=&service=a&service='), { service: 'a' }, 'a parameter without a value is absent')
  t.strictSame(Object.entries(read('__proto__=a')), [['__proto__', 'a']])
})

t.test('a repeated parameter or one with NUL is refused, except scope', async (t) => {
  for (const [text, field, detail] of [
    ['service=a&service=b', 'service', 'service is given twice'],
    ['x=1&scope=y&x=1', 'x', 'x is given twice'],
    ['client_id=a%00b', 'client_id', 'client_id must not contain NUL'],
  ] as const) {
    t.throws(() => read(text), new ProblemError({ status: 400, detail, field }), text)
  }
  t.strictSame(read('scope=a&scope=b%00'), { scope: ['a', 'b\0'] })
})

t.test('a token request may name the service by its name, by an alias or by a URL', async (t) => {
  const accepted = ['registry.example:8443', 'token-service', 'registry.example']
  const good = [...accepted, undefined, 'https://registry.example:8443', 'http://registry.example/']
  for (const service of good) t.equal(isAcceptedService(service, accepted), true, `${service}`)
  const bad = [
    '',
    'other',
    'registry.example:443',
    'Registry.example',
    'registry.example.evil',
    'ftp://registry.example',
  ]
  for (const service of bad) t.equal(isAcceptedService(service, accepted), false, `not "${service}"`)
})
