import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import type { Name } from '../fixtures/image-manager.ts'
import { startImageManager } from '../fixtures/image-manager.ts'

const service = await startImageManager(t)
const { ask, fill, token, auth } = service
const SCOPE = '{"scope":"global"}'

/** Statuses of GET, PUT and DELETE, in this order: written down here, not computed. */
const STATUSES: Readonly<Record<string, Readonly<Record<Name, readonly number[]>>>> = {
  'team/app': { alice: [200, 200, 200], olga: [200, 200, 200], root: [200, 200, 200] },
  'other/global': { alice: [200, 403, 403], olga: [200, 200, 200], root: [200, 200, 200] },
  'other/app': { alice: [404, 404, 404], olga: [200, 200, 200], root: [200, 200, 200] },
  alpine: { alice: [404, 404, 404], olga: [200, 200, 200], root: [200, 200, 200] },
  'team/none': { alice: [404, 404, 404], olga: [404, 404, 404], root: [404, 404, 404] },
  'other/none': { alice: [404, 404, 404], olga: [404, 404, 404], root: [404, 404, 404] },
}
const THERE = {
  'team/app': 'namespace',
  'other/global': 'global',
  'other/app': 'namespace',
  alpine: 'namespace',
}

t.test('who may do what, by status', async (t) => {
  for (const [name, byPerson] of Object.entries(STATUSES)) {
    for (const [as, statuses] of Object.entries(byPerson) as [Name, readonly number[]][]) {
      await fill(THERE as Record<string, 'namespace' | 'global'>)
      const path = `/${name}`
      const found = [
        (await ask(path, { as })).statusCode,
        (await ask(path, { as, method: 'PUT', payload: SCOPE })).statusCode,
        (await ask(path, { as, method: 'DELETE' })).statusCode,
      ]
      t.same(found, statuses, `${as} and ${name}`)
    }
  }
})

t.test('what is foreign answers like what is not there, to the letter', async (t) => {
  await fill({ 'other/app': 'namespace' })
  for (const method of ['GET', 'PUT', 'DELETE'] as const) {
    const [foreign, absent] = await Promise.all(
      ['/other/app', '/other/xyz'].map((path) => ask(path, { as: 'alice', method, payload: SCOPE })),
    )
    t.equal(foreign?.body.replaceAll('other/app', 'X'), absent?.body.replaceAll('other/xyz', 'X'), method)
    t.match(foreign?.headers['content-type'], 'application/problem+json')
  }
})

t.test('a token does what it carries: a pull token reads, and deletes nothing', async (t) => {
  await fill({ 'team/app': 'namespace' })
  const pull = token('alice', [repositoryAccess('team/app', 'pull')])
  t.equal((await ask('/team/app', { bearer: pull })).statusCode, 200)
  t.equal((await ask('/team/app', { bearer: pull, method: 'DELETE' })).statusCode, 403)
  t.equal((await ask('/team/app', { bearer: pull, method: 'PUT', payload: SCOPE })).statusCode, 403)
  t.equal((await ask('', { bearer: pull })).statusCode, 403)
  t.equal((await ask('', { bearer: token('alice', null) })).statusCode, 200)
  t.equal((await ask('/team/app', { bearer: auth.token(undefined, null, 'service:x') })).statusCode, 401)
  for (const access of [[repositoryAccess('team/app', 'pull')], null]) {
    const anybody = auth.token('anonymous', access, '')
    t.equal(
      (await ask('/team/app', { bearer: anybody })).statusCode,
      401,
      'nobody in particular manages images',
    )
    t.equal((await ask('', { bearer: anybody })).statusCode, 401)
  }
})

t.test('without credentials, or with bad ones: 401 and a challenge', async (t) => {
  for (const headers of [
    {},
    { authorization: 'Bearer x.y.z' },
    { authorization: 'Basic YWxpY2U6bm8=' },
  ] as Record<string, string>[]) {
    for (const path of ['', '/team/app']) {
      const { statusCode, headers: answered } = await ask(path, { headers })
      t.equal(statusCode, 401)
      t.match(answered['www-authenticate'], /^Bearer realm="https:\/\/registry\.test\/auth\/v2\/token"/)
    }
  }
})

t.test('PUT takes a scope in any content type, and answers OK', async (t) => {
  await fill({ 'team/app': 'namespace' })
  for (const type of [
    'application/json',
    'application/x-www-form-urlencoded',
    'text/plain',
    'x/y',
    undefined,
  ]) {
    for (const scope of ['global', 'namespace']) {
      const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type }
      const payload = JSON.stringify({ scope })
      const answer = await ask('/team/app', { as: 'alice', method: 'PUT', payload, headers })
      t.same([answer.statusCode, answer.body], [200, 'OK'], `${type}`)
      t.equal((await ask('/team/app', { as: 'alice' })).json().scope, scope)
    }
  }
})

for (const payload of [
  '',
  '{',
  'null',
  '[]',
  '"global"',
  '{}',
  '{"scope":"all"}',
  '{"scope":["global"]}',
  '{"scope":"global","x":1}',
]) {
  t.test(`PUT refuses ${payload || 'an empty body'} and says why`, async (t) => {
    await fill({ 'team/app': 'namespace' })
    const answer = await ask('/team/app', { as: 'alice', method: 'PUT', payload })
    t.equal(answer.statusCode, 400)
    t.match(answer.json(), { field: 'scope', detail: /scope/ })
    t.equal((await ask('/team/app', { as: 'alice' })).json().scope, 'namespace')
  })
}

for (const name of [
  'Team/app',
  'team//app',
  'team%2f..%2fx',
  '%00',
  'team%2f%2e%2e',
  '-a',
  'a'.repeat(256),
  '%ff',
]) {
  t.test(`${name.slice(0, 20)} is no repository name`, async (t) => {
    for (const method of ['GET', 'PUT', 'DELETE'] as const) {
      t.equal((await ask(`/${name}`, { as: 'root', method, payload: SCOPE })).statusCode, 400, method)
    }
  })
}
