import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { createAccountsRepository } from '../../src/accounts/accounts-repository.ts'
import type { Question } from '../fixtures/auth-service.ts'
import { startAuthService } from '../fixtures/auth-service.ts'

const db = await pgliteForTest(t)
const { ask, answers, clock, lines, users } = await startAuthService(t, db)

interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  /** Fields in addition to the username. */
  readonly fields?: Record<string, string>
  /** The status for a cluster administrator. */
  readonly admin: number
  /** Whether the username must not exist yet. */
  readonly makes?: true
  readonly withoutUsername?: true
}

/** A user that never signs in. */
const NOBODY = {
  directory: false,
  role: 'user',
  enabled: true,
  namespaces: [],
  passwordHash: 'its-hash',
} as const
const NEW_PASSWORD = 'a-new-password'
const ROUTES: readonly Route[] = [
  { method: 'GET', path: '/user', admin: 200 },
  { method: 'POST', path: '/user', fields: { password: NEW_PASSWORD }, admin: 201, makes: true },
  { method: 'PATCH', path: '/user', fields: { namespaces: 'a,b', role: 'administrator' }, admin: 200 },
  { method: 'DELETE', path: '/user', admin: 204 },
  { method: 'GET', path: '/users', admin: 200, withoutUsername: true },
  { method: 'POST', path: '/user/password', fields: { password: NEW_PASSWORD }, admin: 204 },
  { method: 'POST', path: '/user/namespaces', fields: { namespaces: 'a,b' }, admin: 200 },
  { method: 'DELETE', path: '/user/sessions', admin: 204 },
]

const WAYS = ['query', 'form', 'JSON', 'query and JSON'] as const
const CALLERS = [
  ['nobody', {}, 401],
  ['a wrong password', { as: 'root', password: 'wrong-password' }, 401],
  ['an unknown name', { as: 'mallory' }, 401],
  ['an ordinary user', { as: 'alice' }, 403],
  ['an administrator of a namespace', { as: 'olga' }, 403],
  ['a cluster administrator', { as: 'root' }, undefined],
] as const

let made = 0

/** A request to a route about a user that exists for it (or not yet), with fields in one of three forms. */
async function questionOf(route: Route, way: (typeof WAYS)[number]): Promise<Question> {
  made += 1
  const username = `target-${made}`
  if (!route.makes) await createAccountsRepository(db).insert({ ...NOBODY, username })
  const fields = route.fields ?? {}
  const all = route.withoutUsername ? fields : { username, ...fields }
  const query = (given: Record<string, string>) => `${route.path}?${new URLSearchParams(given)}`
  const { method, path: url } = route
  switch (way) {
    case 'query':
      return { method, url: query(all) }
    case 'form':
      return { method, url, form: all }
    case 'JSON':
      return { method, url, json: all }
    case 'query and JSON':
      return { method, url: query({ username }), json: fields }
  }
}

for (const route of ROUTES) {
  t.test(
    `${route.method} ${route.path} allows the principals that the API names, in every form of input`,
    async (t) => {
      // The failed sign-ins of earlier routes have drained by then.
      clock.ahead += 3_600_000
      const ways = route.method === 'GET' ? WAYS.slice(0, 1) : WAYS
      for (const way of ways) {
        for (const [who, principal, refusal] of CALLERS) {
          const response = await ask({ ...(await questionOf(route, way)), ...principal })
          const status = refusal ?? route.admin
          t.equal(response.statusCode, status, `${who}, by ${way}: ${status}`)
          if (status < 400) continue
          t.match(response.headers['content-type'], /^application\/problem\+json/)
          t.match(response.json(), { status, title: /\w/, detail: /\w/ })
          if (status === 401) t.match(response.headers['www-authenticate'], /^Basic realm="[^"]+"/)
        }
      }
    },
  )
}

t.test('a trailing slash of a path is ignored', async (t) => {
  for (const path of ['/user/', '/users/'])
    t.equal((await ask({ url: path, as: 'root' })).statusCode, 200, path)
})

t.test('a refused request changes nothing', async (t) => {
  const before = await users.find('olga')
  for (const as of ['alice', undefined]) {
    for (const route of ROUTES) {
      const fields = new URLSearchParams({
        ...(!route.withoutUsername && { username: 'olga' }),
        ...route.fields,
      })
      const response = await ask({ method: route.method, url: `${route.path}?${fields}`, as })
      t.ok([401, 403].includes(response.statusCode))
      t.notMatch(response.body, 'olga')
    }
  }
  t.strictSame(await users.find('olga'), before)
  t.equal(await users.find('target-0'), undefined)
})

t.test('no response and no log line contains a password, a hash or a query', async (t) => {
  t.ok(answers.length > 100 && lines.length > 100)
  for (const secret of [NEW_PASSWORD, 'its-hash', '-password', 'wrong-password', 'argon2', 'hash']) {
    t.notMatch(answers.join('\n').replaceAll('/user/password', ''), secret)
    t.notMatch(lines.join('\n').replaceAll('/user/password', ''), secret)
  }
  t.notMatch(lines.join('\n'), 'username=')
})
