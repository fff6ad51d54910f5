import { repositoryAccess } from '@registry-manager/oci'
import { sql } from 'kysely'
import t from 'tap'
import type { Question } from '../fixtures/image-manager.ts'
import { startImageManager } from '../fixtures/image-manager.ts'

const { askFor, fill, db, token, personalToken } = await startImageManager(t)
const RULE = { name: 'builds', repositories: 'lab/*', tags: '*', except: ['latest'], keep: { last: 1 } }
const path = (namespace: string) => `/namespaces/${namespace}/retention`
const headers = { 'content-type': 'application/json' }
const put = (namespace: string, rules: unknown, asked: Question) =>
  askFor(path(namespace), { method: 'PUT', payload: JSON.stringify({ rules }), headers, ...asked })
const dryRun = (query: string, body: unknown, asked: Question = { as: 'otto' }) =>
  askFor(`${path('lab')}/dry-run${query}`, {
    method: 'POST',
    payload: JSON.stringify(body),
    headers,
    ...asked,
  })

t.test('managers of a namespace replace and read its rules; each change is an event', async (t) => {
  t.strictSame((await askFor(path('lab'), { as: 'otto' })).json(), { rules: [] })
  const created = await put('lab', [RULE], { as: 'otto' })
  t.match([created.statusCode, created.json()], [200, { rules: [RULE] }])
  await put('lab', [RULE], { as: 'otto' })
  t.strictSame((await askFor(path('lab'), { as: 'root' })).json(), { rules: [RULE] })
  await put('lab', [], { as: 'root' })
  const events = await db
    .selectFrom('events')
    .select(['action', 'detail', 'principal_name'])
    .orderBy('id')
    .execute()
  t.strictSame(events, [
    { action: 'retention.update', detail: { rules: { from: [], to: [RULE] } }, principal_name: 'otto' },
    { action: 'retention.update', detail: { rules: { from: [RULE], to: [] } }, principal_name: 'root' },
  ])
})

t.test('principals who do not manage the namespace get 403 from the API of retention', async (t) => {
  const cases: readonly (readonly [why: string, Question, status: number])[] = [
    ['without credentials', {}, 401],
    ['a user of another namespace', { as: 'alice' }, 403],
    ['a registry token', { as: 'every-robot' }, 403],
    ['an owner by a personal token with scopes', { bearer: personalToken('otto', null) }, 403],
    ['a token with access', { bearer: token('root', [repositoryAccess('lab/app', 'delete')]) }, 403],
  ]
  for (const [why, asked, status] of cases) {
    t.equal((await askFor(path('lab'), asked)).statusCode, status, why)
    t.equal((await put('lab', [], asked)).statusCode, status, why)
    t.equal((await dryRun('', {}, asked)).statusCode, status, why)
  }
})

t.test('an invalid rule gets 400 with its field, and changes nothing', async (t) => {
  const refused = async (rule: object, field: string) => {
    for (const response of [await put('lab', [rule], { as: 'otto' }), await dryRun('', { rules: [rule] })])
      t.match([response.statusCode, response.json().field], [400, field], JSON.stringify(rule))
  }
  await refused({ ...RULE, repositories: 'team/*' }, 'rules.0.repositories')
  await refused({ ...RULE, keep: { last: 0 } }, 'rules.0.keep.last')
  await refused({ ...RULE, keep: { semver: 'x y z' } }, 'rules.0.keep.semver')
  await refused({ ...RULE, keep: { matching: '(' } }, 'rules.0.keep.matching')
  await refused({ ...RULE, keep: { matching: 'x'.repeat(129) } }, 'rules.0.keep.matching')
  await refused({ ...RULE, untaggedAfterDays: 0 }, 'rules.0.untaggedAfterDays')
  await refused({ ...RULE, tags: 'a/b' }, 'rules.0.tags')
  await refused({ ...RULE, days: 1 }, 'days')
  const many = Array.from({ length: 51 }, (_, at) => ({ ...RULE, name: `r${at}` }))
  t.match((await put('lab', many, { as: 'otto' })).json(), { status: 400, field: 'rules' })
  t.strictSame((await askFor(path('lab'), { as: 'otto' })).json(), { rules: [] })
})

t.test(
  'a dry run has the decision about each tag with its reason, in pages, and deletes nothing',
  async (t) => {
    await fill({ 'lab/app': 'namespace', 'other/app': 'namespace' })
    const digest = `sha256:${'1'.repeat(64)}`
    await sql`insert into all_manifests (repository_id, digest, media_type, raw)
    select id, ${digest}, 'x', '\\x7b7d' from all_repositories`.execute(db)
    await sql`insert into tags (repository_id, name, digest, updated_at)
    select id, tag.name, ${digest}, now() - make_interval(days => tag.days)
    from all_repositories, (values ('a', 3), ('b', 2), ('latest', 9)) tag (name, days)`.execute(db)
    const rules = [RULE]
    const first = (await dryRun('?limit=2', { rules })).json()
    const nothing = { repository: 'lab/app', digest, reason: null, rule: null, namespace: null, by: null }
    t.strictSame(first, {
      items: [
        { ...nothing, tag: 'a', outcome: 'deleted', rule: 'builds', namespace: 'lab' },
        { ...nothing, tag: 'b', outcome: 'kept', reason: 'last', rule: 'builds', namespace: 'lab' },
      ],
      next: 'lab/app:b',
    })
    const second = (await dryRun(`?limit=2&after=${encodeURIComponent(first.next)}`, { rules })).json()
    t.strictSame(second, { items: [{ ...nothing, tag: 'latest', outcome: 'uncovered' }], next: null })
    t.match((await dryRun('', {})).json().items, [{ outcome: 'uncovered' }, {}, {}], 'no rules are saved')
    t.equal((await db.selectFrom('tags').select('name').execute()).length, 6)
    for (const after of ['lab/app:', 'Lab/App', '/', 'lab/app@x/y'])
      t.match(
        (await dryRun(`?after=${encodeURIComponent(after)}`, {})).json(),
        { status: 400, field: 'after' },
        after,
      )
  },
)
