import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import type { Question } from '../fixtures/auth-service.ts'
import { startAuthService } from '../fixtures/auth-service.ts'
import { BODIES, randomObjects } from '../fixtures/malformed.ts'
import { tokensApi } from '../fixtures/registry-tokens.ts'

const { ask, db, lines, publicApp } = await startAuthService(t, await pgliteForTest(t))
const api = await tokensApi(ask)
const everything = [{ type: 'repository', name: '*', actions: ['pull', 'push', 'delete'] }]
const { id, ...robot } = await api.make({ name: 'Robot', scopes: everything })
const identityOf = async (who: { as: string; password?: string }) =>
  (await ask({ url: '/auth/v2/token', ...who })).json().token as string

const registry = `/containerregistries/registries/${api.registry}`
const json = { properties: { name: 'new-one', scopes: everything } }
const QUESTIONS: readonly Question[] = [
  { url: '/containerregistries/registries' },
  { url: registry },
  { url: `${registry}/repositories` },
  { url: `${registry}/repositories/team%2Fapp` },
  { url: `${registry}/repositories/team%2Fapp/artifacts` },
  { url: `${registry}/artifacts` },
  { url: api.base },
  { method: 'POST', url: api.base, json },
  { method: 'POST', url: api.base, json: { nonsense: true } },
  { url: `${api.base}/${id}` },
  { method: 'PUT', url: `${api.base}/${id}` },
  { method: 'PATCH', url: `${api.base}/${id}`, json: { status: 'disabled' } },
  { method: 'DELETE', url: `${api.base}/${id}` },
  { url: '/containerregistries/nothing' },
]

t.test('only cluster administrators manage registry tokens', async (t) => {
  const who: readonly (readonly [who: object, status: number])[] = [
    [{}, 401],
    [{ as: 'root', password: 'wrong-password' }, 401],
    [{ bearer: 'nonsense' }, 401],
    [
      { bearer: (await ask({ url: '/auth/v2/token?scope=registry:catalog:*', as: 'root' })).json().token },
      401,
    ],
    [{ as: 'alice' }, 403],
    [{ as: 'olga' }, 403],
    [{ bearer: await identityOf({ as: 'olga' }) }, 403],
    [robot, 403],
    [{ bearer: await identityOf(robot) }, 403],
  ]
  // The last use may be saved at any time.
  const listed = async () => {
    const { items, ...rest } = (await api.list()).json()
    const withoutUse = ({ metadata, ...item }: { metadata: Record<string, unknown> }) => ({
      ...item,
      metadata: { ...metadata, lastUsedDate: undefined, lastUsedAddress: undefined },
    })
    return { ...rest, items: items.map(withoutUse) }
  }
  const before = await listed()
  for (const question of QUESTIONS) {
    for (const [credentials, status] of who) {
      const response = await ask({ ...question, ...credentials })
      t.equal(
        response.statusCode,
        status,
        `${question.method ?? 'GET'} ${question.url} ${Object.keys(credentials)}`,
      )
      t.match(response.json(), { httpStatus: status, messages: [{ errorCode: '0', message: String }] })
      if (status === 401) t.match(response.headers['www-authenticate'], /^Basic realm=/)
    }
  }
  t.strictSame(await listed(), before)
  t.equal((await ask({ url: api.base, bearer: await identityOf({ as: 'root' }) })).statusCode, 200)
})

t.test('the users API refuses registry tokens with 403', async (t) => {
  const questions: readonly Question[] = [
    { url: '/user' },
    { url: '/user?username=robot' },
    { url: '/user?username=root' },
    { url: '/users' },
    { method: 'POST', url: '/user', json: { username: 'eve', password: 'a-good-password' } },
    { method: 'PATCH', url: '/user', json: { username: 'robot', admin: true } },
    { method: 'DELETE', url: '/user?username=robot' },
    { method: 'POST', url: '/user/password', json: { password: 'a-good-password' } },
    { method: 'POST', url: '/user/namespaces', json: { username: 'robot', namespaces: 'team' } },
    { method: 'DELETE', url: '/user/sessions' },
  ]
  const bearer = await identityOf(robot)
  for (const question of questions) {
    for (const credentials of [robot, { bearer }]) {
      const response = await ask({ ...question, ...credentials })
      t.equal(response.statusCode, 403, `${question.method ?? 'GET'} ${question.url}`)
      t.match(response.json(), { status: 403, detail: /registry token/ })
    }
  }
})

t.test('the users API does not show registry tokens', async (t) => {
  t.equal((await ask({ url: '/user?username=robot', as: 'root' })).statusCode, 404)
  t.equal((await ask({ method: 'DELETE', url: '/user?username=robot', as: 'root' })).statusCode, 404)
  const admin = { username: 'robot', admin: true, password: 'a-good-password' }
  t.equal((await ask({ method: 'PATCH', url: '/user', json: admin, as: 'root' })).statusCode, 404)
  const listed: { username: string }[] = (await ask({ url: '/users', as: 'root' })).json()
  t.strictSame(
    listed.map(({ username }) => username),
    ['alice', 'olga', 'root'],
  )
})

t.test('a user cannot get the password of a registry token', async (t) => {
  const change = { username: 'alice', password: robot.password }
  const response = await ask({ method: 'PATCH', url: '/user', json: change, as: 'root' })
  t.equal(response.statusCode, 400)
  t.notMatch(response.body, robot.password)
})

t.test('malformed bodies are refused in the error format of the API', async (t) => {
  const rows = () =>
    db
      .selectFrom('registry_tokens')
      .select(['account_id', 'name', 'scopes', 'expires_at', 'secret_hash', 'modified_at'])
      .execute()
  const before = await rows()
  const authorization = `Basic ${Buffer.from('root:root-password').toString('base64')}`
  const random = [...randomObjects(50)].map((body) => ({
    type: 'application/json',
    payload: JSON.stringify(body),
  }))
  const faults: string[] = []
  for (const { type, payload } of [...BODIES, ...random]) {
    for (const [method, url] of [
      ['POST', api.base],
      ['PUT', `${api.base}/${id}`],
      ['PATCH', `${api.base}/${id}`],
    ] as const) {
      const headers = { authorization, 'content-type': type }
      const { statusCode, body } = await publicApp.inject({ method, url, payload, headers })
      const told = statusCode < 300 ? {} : JSON.parse(body)
      if (statusCode >= 400 && statusCode < 500 && told.httpStatus === statusCode && told.messages[0].message)
        continue
      faults.push(`${method} ${type} ${String(payload).slice(0, 60)}: ${statusCode} ${body.slice(0, 100)}`)
    }
  }
  t.strictSame(faults, [])
  t.strictSame(await rows(), before, 'no registry token was changed')
  t.strictSame(
    lines.filter((line) => JSON.parse(line).level >= 50),
    [],
    'no request was logged as an error',
  )
})
