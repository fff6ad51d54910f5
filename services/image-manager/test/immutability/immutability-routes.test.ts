import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { SERVICE_CREDENTIAL } from '../fixtures/fake-auth-service.ts'
import type { Question } from '../fixtures/image-manager.ts'
import { startImageManager } from '../fixtures/image-manager.ts'
import { MANIFEST, image } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'

const { ask, askFor, internalApp, registry, db, token, personalToken } = await startImageManager(t)

const ONE = { name: 'releases', repositories: 'lab/*', tags: 'v*', except: ['v0*'] }
const path = (namespace: string) => `/namespaces/${namespace}/immutability`
const headers = { 'content-type': 'application/json' }
const put = (namespace: string, rules: unknown, asked: Question) =>
  askFor(path(namespace), { method: 'PUT', payload: JSON.stringify({ rules }), headers, ...asked })
const get = (namespace: string, asked: Question) => askFor(path(namespace), asked)
const events = () =>
  db
    .selectFrom('events')
    .select(['action', 'target', 'detail', 'principal_name as by'])
    .orderBy('id')
    .execute()

t.test('managers of a namespace replace and read its rules; each change is an event', async (t) => {
  t.strictSame((await get('lab', { as: 'otto' })).json(), { rules: [] })
  const created = await put('lab', [ONE], { as: 'otto' })
  t.equal(created.statusCode, 200)
  t.strictSame(created.json(), { rules: [ONE] })
  t.equal((await put('lab', [ONE], { as: 'otto' })).statusCode, 200, 'the same again')
  t.strictSame((await get('lab', { as: 'root' })).json(), { rules: [ONE] })
  const nested = { name: 'all', repositories: 'team/app', tags: '*' }
  t.equal((await put('team%2Fapp', [nested], { as: 'olga' })).statusCode, 200)
  t.strictSame((await get('team%2Fapp', { as: 'root' })).json(), { rules: [nested] })
  t.strictSame((await put('lab', [], { as: 'root' })).json(), { rules: [] })
  t.strictSame(await db.selectFrom('tag_rules').select('namespace').execute(), [{ namespace: 'team/app' }])
  const about = (namespace: string, from: unknown, to: unknown, by: string) => ({
    action: 'immutability.update',
    target: { kind: 'namespace', namespace, name: namespace },
    detail: { rules: { from, to } },
    by,
  })
  t.strictSame(await events(), [
    about('lab', [], [ONE], 'otto'),
    about('team/app', [], [nested], 'olga'),
    about('lab', [ONE], [], 'root'),
  ])
})

t.test(
  'principals who do not manage the namespace get the same 403 for the rules of every namespace',
  async (t) => {
    const detail =
      /^managing (?:lab|none) requires a cluster administrator, an administrator of (?:lab|none), or a grant/
    const cases: readonly (readonly [why: string, Question, status: number, detail: RegExp])[] = [
      ['without credentials', {}, 401, /authentication required/],
      ['a user of another namespace', { as: 'alice' }, 403, detail],
      ['an administrator of another one', { as: 'olga' }, 403, detail],
      ['a registry token', { as: 'every-robot' }, 403, detail],
      ['an owner by a personal token with scopes', { bearer: personalToken('otto', null) }, 403, detail],
      [
        'a cluster administrator by a token with access to repositories',
        { bearer: token('root', [repositoryAccess('lab/app', 'delete')]) },
        403,
        /^managing (?:lab|none) needs a password, or an identity token/,
      ],
    ]
    for (const [why, asked, status, expected] of cases) {
      for (const namespace of ['lab', 'none']) {
        for (const response of [await get(namespace, asked), await put(namespace, [], asked)]) {
          t.equal(response.statusCode, status, `${why}: ${namespace}`)
          t.match(response.json().detail, expected, why)
        }
      }
    }
    t.equal((await get('none', { as: 'otto' })).statusCode, 403, 'an owner of another namespace')
  },
)

t.test('an invalid list of rules is refused with 400 that names the field', async (t) => {
  const cases: readonly (readonly [rules: unknown, field: string, detail: RegExp])[] = [
    [undefined, 'rules', /rules/],
    [[{ ...ONE, name: '' }], 'rules.0.name', /must be 1 to 64 letters/],
    [[{ ...ONE, repositories: 'Lab/*' }], 'rules.0.repositories', /must be a repository name, or a path/],
    [
      [{ ...ONE, repositories: 'team/*' }],
      'rules.0.repositories',
      /must be a pattern within lab, such as lab\/\*/,
    ],
    [[ONE, ONE], 'rules.1.name', /must be unique: another rule has the name releases/],
    [[{ ...ONE, tags: 'v?' }], 'rules.0.tags', /such as v\*/],
    [[{ ...ONE, except: ['a b'] }], 'rules.0.except.0', /such as v\*/],
    [[{ ...ONE, keep: 1 }], 'keep', /keep/],
    [Array.from({ length: 51 }, (_, nr) => ({ ...ONE, name: `r${nr}` })), 'rules', /50/],
  ]
  for (const [rules, field, detail] of cases) {
    const response = await put('lab', rules, { as: 'otto' })
    t.equal(response.statusCode, 400)
    t.match(response.json(), { field, detail }, field)
  }
  t.equal((await get('Lab', { as: 'root' })).statusCode, 400)
})

t.test(
  'the management API refuses to delete a repository with an immutable tag, and names the rule',
  async (t) => {
    await put('lab', [ONE], { as: 'otto' })
    const announce = (raw: Buffer) =>
      internalApp.inject({
        method: 'POST',
        url: `/internal/admissions?repository=lab/tool&reference=v1&type=${MANIFEST}`,
        headers: {
          authorization: `Bearer ${SERVICE_CREDENTIAL}`,
          'content-type': 'application/octet-stream',
        },
        payload: raw,
      })
    const { id } = (await announce(image('one'))).json()
    const digest = registry.push(image('one'), MANIFEST, 'v1', 'lab/tool')
    const authorization = `Bearer ${SERVICE_CREDENTIAL}`
    await internalApp.inject({
      method: 'POST',
      url: `/internal/admissions/${id}/record`,
      headers: { authorization },
    })
    const by = { tag: 'v1', rule: 'releases', namespace: 'lab' }
    const message = 'the tag v1 of lab/tool is immutable by the rule releases of the namespace lab'
    t.strictSame((await announce(image('two'))).json(), {
      outcome: 'refused',
      code: 'DENIED',
      message: `${message}, and names ${digest}`,
      detail: { ...by, digest },
    })
    for (const reference of ['v1', digest]) {
      const url = `/internal/manifests?repository=lab/tool&reference=${reference}&force=true`
      const response = await internalApp.inject({ method: 'DELETE', url, headers: { authorization } })
      t.strictSame(response.json(), { deleted: false, immutable: { ...by, message } })
    }
    const refused = await ask('/lab/tool', { as: 'otto', method: 'DELETE' })
    t.equal(refused.statusCode, 403)
    t.equal(refused.json().detail, message)
    t.equal(
      (await ask('/lab/tool', { as: 'alice', method: 'DELETE' })).statusCode,
      404,
      'others learn nothing',
    )
    await put('lab', [], { as: 'otto' })
    t.equal((await ask('/lab/tool', { as: 'otto', method: 'DELETE' })).statusCode, 200)
    t.equal(registry.repositories.get('lab/tool')?.manifests.has(digestOf(image('one'))), false)
  },
)
