import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { startAuthService } from '../fixtures/auth-service.ts'
import { PULL_TEAM, tokensApi } from '../fixtures/registry-tokens.ts'

const { ask } = await startAuthService(t, await pgliteForTest(t))
const api = await tokensApi(ask)

const properties = { name: 'bad', scopes: PULL_TEAM }
const [scope] = PULL_TEAM
const good = { name: 'bad', scopes: [scope] }
const BAD_NAMES = [
  '',
  'a',
  '1a',
  '-a',
  'a-',
  'a_b',
  'a.b',
  'a b',
  'robot$ci',
  'ä1',
  'a'.repeat(64),
  'ab\n',
  'a\0b',
]
const NAME_RULE = 'must be 2 to 63 letters, digits or -, begin with a letter, and not end with -'
const BAD_PATTERNS = ['', 'te*', 'team/**', 'Team/*', '/*', '**', 'team/', `${'a'.repeat(254)}/*`]
const BAD_SCOPES: readonly (readonly [field: string, scope: object])[] = [
  ...['registry', 'Repository', '', null].map((type) => ['type', { ...scope, type }] as const),
  ...BAD_PATTERNS.map((name) => ['name', { ...scope, name }] as const),
  ...[['pull', 'admin'], ['*'], ['Pull'], ['constructor'], [], null, 'pull', [1]].map(
    (actions) => ['actions', { ...scope, actions }] as const,
  ),
]
const BAD: readonly (readonly [body: unknown, named: RegExp])[] = [
  [{}, /properties/],
  [[], /body/],
  [{ properties: null }, /properties/],
  [{ properties: {} }, /name/],
  [{ properties, more: 1 }, /more/],
  [{ properties: { ...properties, more: 1 } }, /more/],
  [{ properties: { ...properties, name: 1 } }, /properties\.name/],
  [{ properties: { ...properties, name: 'a' } }, /name/],
  [{ properties: { ...properties, name: 'robot$ci' } }, /name/],
  [{ properties: { ...properties, scopes: {} } }, /properties\.scopes/],
  [{ properties: { ...properties, scopes: ['*'] } }, /properties\.scopes\.0/],
  [{ properties: { ...properties, scopes: [{ ...scope, more: 1 }] } }, /more/],
  [{ properties: { ...properties, scopes: [{ name: '*', type: 'repository' }] } }, /actions/],
  [{ properties: { ...properties, scopes: [{ ...scope, actions: 'pull' }] } }, /actions/],
  [{ properties: { ...properties, scopes: [{ ...scope, actions: ['pull', 1] }] } }, /actions/],
  [{ properties: { ...properties, scopes: [{ ...scope, actions: [] }] } }, /scopes\.0\.actions/],
  [{ properties: { ...properties, scopes: [{ ...scope, actions: ['write'] }] } }, /scopes\.0\.actions/],
  [{ properties: { ...properties, scopes: [{ ...scope, type: 'registry' }] } }, /scopes\.0\.type/],
  [{ properties: { ...properties, scopes: [scope, { ...scope, name: 'te*' }] } }, /scopes\.1\.name/],
  [{ properties: { ...properties, expiryDate: 'tomorrow' } }, /expiryDate/],
  [{ properties: { ...properties, expiryDate: '2036-02-30T00:00:00Z' } }, /expiryDate/],
  [{ properties: { ...properties, expiryDate: '2036-12-24' } }, /expiryDate/],
  [{ properties: { ...properties, expiryDate: '2036-12-24T18:00:00' } }, /expiryDate/],
  [{ properties: { ...properties, expiryDate: 1 } }, /expiryDate/],
  [{ properties: { ...properties, expiryDate: '2036-12-31T23:59:60Z' } }, /expiryDate/],
  [{ properties: { ...properties, expiryDate: '0001-01-01T00:00:00Z' } }, /expiryDate/],
  [{ properties: { ...properties, expiryDate: '2020-01-01T00:00:00Z' } }, /expiryDate/],
  [{ properties: { ...properties, status: 'expired' } }, /status/],
  [{ properties: { ...properties, status: null } }, /status/],
]

t.test('a bad field is refused with 400 and its name', async (t) => {
  const { id } = await api.make({ name: 'untouched' })
  const before = (await api.get(id)).json()
  for (const [json, named] of BAD) {
    const bodies: [method: 'POST' | 'PUT' | 'PATCH', url: string, json: unknown][] = [
      ['POST', api.base, json],
      ['PUT', `${api.base}/${id}`, json],
    ]
    for (const [method, url, body] of bodies) {
      const response = await ask({ method, url, json: body, as: 'root' })
      t.equal(response.statusCode, 400, `${method} ${JSON.stringify(body)}`)
      t.match(response.json(), { httpStatus: 400, messages: [{ errorCode: '0', message: named }] })
    }
  }
  for (const json of [
    [],
    { name: 'other' },
    { properties: {} },
    { status: 'x' },
    { expiryDate: '' },
    { expiryDate: '2036-12-31T23:59:60Z' },
  ]) {
    const response = await api.patch(id, json)
    t.equal(response.statusCode, 400, `PATCH ${JSON.stringify(json)}`)
    t.match(response.json(), { httpStatus: 400, messages: [{ errorCode: '0', message: String }] })
  }
  t.strictSame((await api.get(id)).json(), before)
})

t.test('a registry token has a name of 2 to 63 letters, digits or hyphens', async (t) => {
  for (const name of BAD_NAMES) {
    const response = await ask({
      method: 'POST',
      url: api.base,
      json: { properties: { ...good, name } },
      as: 'root',
    })
    t.equal(response.statusCode, 400, JSON.stringify(name))
    t.match(response.json(), { messages: [{ message: `properties.name ${NAME_RULE}` }] })
  }
  for (const name of ['ab', 'CI', 'a-b', 'a1', 'a'.repeat(63), 'Deploy-Bot-2']) {
    t.equal((await api.make({ name })).as, name)
  }
})

t.test('a bad scope is refused by the path of its field, also after a good one', async (t) => {
  for (const [field, bad] of BAD_SCOPES) {
    for (const [at, scopes] of [[bad], [scope, bad]].entries()) {
      const json = { properties: { ...good, scopes } }
      const response = await ask({ method: 'POST', url: api.base, json, as: 'root' })
      t.equal(response.statusCode, 400, JSON.stringify(bad))
      const path = new RegExp(`^properties\\.scopes\\.${at}\\.${field}(\\.\\d)? must be `)
      t.match(response.json(), { messages: [{ message: path }] })
    }
  }
})

t.test('a registry token has at most a hundred scopes', async (t) => {
  const many = (count: number) => Array.from({ length: count }, (_, at) => ({ ...scope, name: `n${at}/*` }))
  t.equal((await api.patch((await api.make({ name: 'hundred' })).id, { scopes: many(100) })).statusCode, 200)
  const json = { properties: { ...good, scopes: many(101) } }
  const response = await ask({ method: 'POST', url: api.base, json, as: 'root' })
  t.match(response.json(), {
    httpStatus: 400,
    messages: [{ message: 'properties.scopes must have at most 100 entries' }],
  })
})
