import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import type { Question } from '../fixtures/auth-service.ts'
import { startAuthService } from '../fixtures/auth-service.ts'
import { USERS_ROUTES } from '../fixtures/malformed.ts'

const { ask, users } = await startAuthService(t, await pgliteForTest(t))

const good = { username: 'someone', password: 'a-good-password' }
const BAD: Readonly<Record<string, readonly unknown[]>> = {
  username: ['', 'a b', '-a', 'a/b', 'a:b', 'ü', 'a\0', 'x'.repeat(256)],
  password: [
    '',
    'short',
    'päßä',
    'x'.repeat(1025),
    'ü'.repeat(513),
    'SomeOne1',
    'a\tgood-password',
    'a-good-password\0',
  ],
  ad: ['', 'yes', '2', 'true'],
  admin: ['', 'yes', '2', ' true'],
  enabled: ['', 'no', 'null'],
  role: ['', 'admin', 'User'],
  namespaces: ['A', 'a,,b', '/a', 'a/', '*', 'a/../b', 'a b'],
}
/** Values that only JSON can express. */
const BAD_JSON: Readonly<Record<string, readonly unknown[]>> = {
  username: [null, 1, true, ['a'], {}],
  password: [null, 12_345_678, true, ['a-good-password'], {}],
  ad: [null, 2, 'yes', [], {}],
  admin: [null, 2, [true], {}],
  enabled: [null, -1, [], {}],
  role: [null, 1, ['user'], {}],
  namespaces: [
    null,
    1,
    true,
    {},
    [1],
    [['a']],
    ['a', ''],
    ['A'],
    Array.from({ length: 1001 }, (_, at) => `n${at}`),
  ],
}
const FIELDS: readonly (readonly [method: 'POST' | 'PATCH', url: string, fields: readonly string[]])[] = [
  ['POST', '/user', Object.keys(BAD)],
  ['PATCH', '/user', Object.keys(BAD)],
  ['POST', '/user/password', ['username', 'password']],
  ['POST', '/user/namespaces', ['username', 'namespaces']],
]

await users.create({
  ...good,
  username: 'someone1',
  directory: false,
  role: 'user',
  enabled: true,
  namespaces: [],
})

/** Valid other fields of a route, for a user that exists if the route needs one. */
function fieldsOf(method: string, url: string): Record<string, unknown> {
  if (url === '/user/namespaces') return { username: 'someone1', namespaces: 'a' }
  return { ...good, username: method === 'POST' && url === '/user' ? 'someone-new' : 'someone1' }
}

for (const [method, url, names] of FIELDS) {
  t.test(`${method} ${url} responds 400 to an invalid value and names the field`, async (t) => {
    for (const name of names) {
      for (const given of [...(BAD[name] ?? []), ...(BAD_JSON[name] ?? [])]) {
        const fields = { ...fieldsOf(method, url), [name]: given }
        // A new user needs a new username, so the value cannot be the username as a password.
        if (given === 'SomeOne1') fields.username = 'someone1'
        const ways: Question[] = [{ method, url, json: fields }]
        if (typeof given === 'string') {
          const text = new URLSearchParams(fields as Record<string, string>)
          ways.push({ method, url, form: text }, { method, url: `${url}?${text}` })
        }
        for (const question of ways) {
          const response = await ask({ ...question, as: 'root' })
          const shown = JSON.stringify(given)?.slice(0, 40)
          t.equal(response.statusCode, 400, `${name}: ${shown}`)
          t.match(response.headers['content-type'], /^application\/problem\+json/)
          t.match(response.json(), { status: 400, field: name, detail: name })
        }
      }
    }
    t.equal(await users.find('someone-new'), undefined, 'no user was created')
  })
}

const MISSING: readonly (readonly [field: string, question: Question])[] = [
  ['username', { method: 'POST', url: '/user', json: { password: 'a-good-password' } }],
  ['username', { method: 'POST', url: '/user' }],
  ['password', { method: 'POST', url: '/user', json: { username: 'new' } }],
  ['password', { method: 'POST', url: '/user?username=new&ad=false' }],
  ['username', { method: 'PATCH', url: '/user', json: { admin: true } }],
  ['username', { method: 'DELETE', url: '/user' }],
  ['password', { method: 'POST', url: '/user/password' }],
  ['password', { method: 'POST', url: '/user/password?username=alice' }],
  ['username', { method: 'POST', url: '/user/namespaces', json: { namespaces: [] } }],
  ['namespaces', { method: 'POST', url: '/user/namespaces', json: { username: 'alice' } }],
]

t.test('a missing field gets 400 with the name of the field', async (t) => {
  for (const [field, question] of MISSING) {
    const response = await ask({ ...question, as: 'root' })
    t.equal(response.statusCode, 400, `${question.method} ${question.url}: ${field}`)
    t.match(response.json(), { status: 400, field, detail: /is required/ })
  }
})

t.test('an unknown field and a repeated field get 400', async (t) => {
  for (const [method, url] of USERS_ROUTES) {
    for (const field of ['passwd', 'Username', 'limit[]', 'constructor', '']) {
      if (field === '' && method !== 'POST') continue
      const response = await ask({
        method,
        url: `${url}?${new URLSearchParams({ [field]: 'x' })}`,
        as: 'root',
      })
      t.match(response.json(), { status: 400, field }, `${method} ${url}?${field}=x`)
    }
    if (url === '/users') continue
    const twice = await ask({ method, url: `${url}?username=alice&username=alice`, as: 'root' })
    t.match(twice.json(), { status: 400, field: 'username', detail: /twice/ }, `${method} ${url}: twice`)
    if (method === 'GET') continue
    const both = await ask({ method, url: `${url}?username=alice`, json: { username: 'alice' }, as: 'root' })
    t.match(
      both.json(),
      { status: 400, field: 'username', detail: /twice/ },
      `${method} ${url}: query and body`,
    )
    const unknown = await ask({ method, url, json: { username: 'alice', id: 'x' }, as: 'root' })
    t.match(unknown.json(), { status: 400, field: /id|password|namespaces/ }, `${method} ${url}: in the body`)
  }
})

t.test('contradicting fields get 400', async (t) => {
  const contradictions = [
    { role: 'user', admin: true },
    { role: 'administrator', admin: true },
    { role: 'cluster-administrator', admin: false },
  ]
  for (const given of contradictions) {
    for (const method of ['POST', 'PATCH'] as const) {
      const username = method === 'POST' ? 'someone-new' : 'someone1'
      const response = await ask({ method, url: '/user', json: { ...good, username, ...given }, as: 'root' })
      t.match(
        response.json(),
        { status: 400, field: /^(role|admin)$/ },
        `${method}: ${JSON.stringify(given)}`,
      )
    }
  }
  t.equal(await users.find('someone-new'), undefined)
})
