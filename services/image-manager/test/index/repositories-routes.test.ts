import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import type { Name } from '../fixtures/image-manager.ts'
import { startImageManager } from '../fixtures/image-manager.ts'

const service = await startImageManager(t)
const { ask, fill, token, auth } = service
const SCOPE = '{"scope":"global"}'

/** Statuses of GET, PUT and DELETE, in this order: literal values, not computed ones. */
const STATUSES: Readonly<
  Record<string, Readonly<Record<Exclude<Name, 'otto' | 'omar'>, readonly number[]>>>
> = {
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

t.test(
  'GET, PUT and DELETE of a repository get the status that the principal’s rights require',
  async (t) => {
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
  },
)

t.test(
  'a repository that the principal may not see gets the same response as one that does not exist',
  async (t) => {
    await fill({ 'other/app': 'namespace' })
    for (const method of ['GET', 'PUT', 'DELETE'] as const) {
      const [foreign, absent] = await Promise.all(
        ['/other/app', '/other/xyz'].map((path) => ask(path, { as: 'alice', method, payload: SCOPE })),
      )
      t.equal(foreign?.body.replaceAll('other/app', 'X'), absent?.body.replaceAll('other/xyz', 'X'), method)
      t.match(foreign?.headers['content-type'], 'application/problem+json')
    }
  },
)

t.test('an access token permits only its own access: with pull it may read but not change', async (t) => {
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
    t.equal((await ask('/team/app', { bearer: anybody })).statusCode, 401, 'anonymous may not manage images')
    t.equal((await ask('', { bearer: anybody })).statusCode, 401)
  }
})

t.test('a request without valid credentials gets 401 and a Bearer challenge', async (t) => {
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

t.test('a request without valid credentials gets 401 before its body is read', async (t) => {
  const payload = 'x'.repeat(2 * 1024 * 1024)
  t.equal((await ask('/team/app', { method: 'PUT', payload })).statusCode, 401)
  t.equal((await ask('/team/app', { as: 'alice', method: 'PUT', payload })).statusCode, 413)
})

t.test('PUT accepts a scope in any content type and responds OK', async (t) => {
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

for (const payload of ['', '{', 'null', '[]', '"global"', '{}', '{"scope":"all"}', '{"scope":["global"]}']) {
  t.test(`PUT refuses ${payload || 'an empty body'} and names the field`, async (t) => {
    await fill({ 'team/app': 'namespace' })
    const answer = await ask('/team/app', { as: 'alice', method: 'PUT', payload })
    t.equal(answer.statusCode, 400)
    t.match(answer.json(), { field: 'scope', detail: /scope/ })
    t.equal((await ask('/team/app', { as: 'alice' })).json().scope, 'namespace')
  })
}

const AGREEING = [
  ['/team/app', { namespace: 'team', repo: 'app' }],
  ['/team/app', { namespace: 'team' }],
  ['/team/app', { repo: 'app' }],
  ['/team/app', { repo: 'team/app' }],
  ['/team/a/b', { namespace: 'team', repo: 'a/b' }],
  ['/team/a/b', { namespace: 'team/a', repo: 'b' }],
  ['/alpine', { repo: 'alpine' }],
] as const
const DISAGREEING = [
  ['/team/app', 'namespace', { namespace: 'other', repo: 'app' }],
  ['/team/app', 'namespace', { namespace: 'tea' }],
  ['/team/app', 'namespace', { namespace: 'team/app' }],
  ['/team/app', 'namespace', { namespace: '' }],
  ['/team/app', 'namespace', { namespace: ['team'], repo: 'app' }],
  ['/team/app', 'repo', { namespace: 'team', repo: 'other' }],
  ['/team/app', 'repo', { namespace: 'team', repo: 'team/app' }],
  ['/team/app', 'repo', { repo: 'pp' }],
  ['/team/app', 'repo', { repo: '' }],
  ['/team/app', 'repo', { repo: null }],
  ['/team/a/b', 'repo', { namespace: 'team', repo: 'b' }],
  ['/alpine', 'namespace', { namespace: 'alpine', repo: 'alpine' }],
  ['/team/app', 'x', { x: 1 }],
] as const

t.test('PUT refuses a body with a duplicate field and names the field', async (t) => {
  await fill({ 'team/app': 'namespace' })
  const payload = '{"scope":"namespace","scope":"global"}'
  const answer = await ask('/team/app', { as: 'alice', method: 'PUT', payload })
  t.match(answer.json(), { status: 400, field: 'scope', detail: '"scope" is given twice' })
  t.equal((await ask('/team/app', { as: 'alice' })).json().scope, 'namespace')
})

t.test('PUT accepts namespace and repo in the body if they agree with the path', async (t) => {
  for (const [path, fields] of AGREEING) {
    await fill({ [path.slice(1)]: 'namespace' })
    const payload = JSON.stringify({ scope: 'global', ...fields })
    const answer = await ask(path, { as: 'root', method: 'PUT', payload })
    t.same([answer.statusCode, answer.body], [200, 'OK'], `${path} ${payload}`)
    t.equal((await ask(path, { as: 'root' })).json().scope, 'global')
  }
})

t.test('PUT refuses namespace and repo that disagree with the path and names the field', async (t) => {
  for (const [path, field, fields] of DISAGREEING) {
    await fill({ [path.slice(1)]: 'namespace' })
    const payload = JSON.stringify({ scope: 'global', ...fields })
    const answer = await ask(path, { as: 'root', method: 'PUT', payload })
    t.match(answer.json(), { status: 400, field, detail: field }, `${path} ${payload}`)
    t.equal((await ask(path, { as: 'root' })).json().scope, 'namespace')
  }
})

t.test(
  'a token with registry:catalog:* gets 403 with the missing scope for repositories that it lists',
  async (t) => {
    await fill({ 'team/app': 'namespace', 'other/app': 'namespace' })
    const bearer = token('alice', [{ type: 'registry', name: 'catalog', actions: ['*'] }])
    t.match((await ask('', { bearer })).json().repositories, [{ name: 'team/app' }])
    t.match((await ask('/team/app', { bearer })).json(), { status: 403, detail: 'repository:team/app:pull' })
    t.match((await ask('/team/app', { bearer, method: 'DELETE' })).json(), {
      status: 403,
      detail: 'repository:team/app:delete',
    })
    const payload = SCOPE
    t.match((await ask('/team/app', { bearer, method: 'PUT', payload })).json(), {
      status: 403,
      detail: 'identity token',
    })
    t.equal(
      (await ask('/other/app', { bearer })).statusCode,
      404,
      'a repository that it does not list gets 404',
    )
  },
)

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
  t.test(`${name.slice(0, 20)} is not a repository name and gets 400`, async (t) => {
    for (const method of ['GET', 'PUT', 'DELETE'] as const) {
      t.equal((await ask(`/${name}`, { as: 'root', method, payload: SCOPE })).statusCode, 400, method)
    }
  })
}
