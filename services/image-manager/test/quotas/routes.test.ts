import { sql } from 'kysely'
import t from 'tap'
import { countUsage } from '../../src/quotas/count-usage.ts'
import { createUsageCountsRepository } from '../../src/quotas/usage-counts-repository.ts'
import { startImageManager } from '../fixtures/image-manager.ts'

const { askFor, fill, db, token, personalToken } = await startImageManager(t)
const json = (body: unknown) => ({
  payload: JSON.stringify(body),
  headers: { 'content-type': 'application/json' },
})
const put = (namespace: string, body: unknown, as: 'root' | 'olga' = 'root') =>
  askFor(`/namespaces/${namespace}/quota`, { method: 'PUT', as, ...json(body) })

t.beforeEach(async () => {
  await fill({
    'team/app': 'namespace',
    'team/b/c': 'namespace',
    'other/app': 'namespace',
    plain: 'namespace',
  })
  await sql`delete from events`.execute(db)
})

t.test('a cluster administrator sets a quota, and the managers of the namespace read it', async (t) => {
  const quota = { bytes: 1000, repositories: 5, softBytes: 800 }
  const response = await put('team', quota)
  t.equal(response.statusCode, 200, response.body)
  t.same(response.json(), quota)
  t.equal(response.headers['cache-control'], 'no-store')
  for (const as of ['root', 'olga'] as const) {
    t.same((await askFor('/namespaces/team/quota', { as })).json(), quota)
    t.same((await askFor('/namespaces/team/usage/', { as })).json(), {
      namespace: 'team',
      bytes: 0,
      repositories: 2,
      counting: false,
      quota,
    })
  }
  t.same((await put('team', { bytes: 1000 })).json(), { bytes: 1000, repositories: null, softBytes: null })
  t.same((await put('team', { bytes: 1000 })).statusCode, 200)
  const { rows } = await sql<{ principal: string; target: object; detail: object }>`
    select principal_name as principal, target, detail from events where action = 'quota.update' order by id`.execute(
    db,
  )
  t.match(rows, [
    { principal: 'root', target: { kind: 'namespace', namespace: 'team', name: 'team' } },
    {
      detail: { repositories: { from: 5, to: null }, softBytes: { from: 800, to: null } },
    },
  ])
  t.equal(rows.length, 2, 'setting the same quota again is no change')
})

t.test('quotas are set by cluster administrators, with all rights of their account', async (t) => {
  t.equal((await put('team', { bytes: 1 }, 'olga')).statusCode, 403)
  const limited = [
    { bearer: token('root', [{ type: 'repository', name: 'team/app', actions: ['push'] }]) },
    { bearer: personalToken('root', null) },
    { as: 'every-robot' },
  ] as const
  for (const asked of limited) {
    const response = await askFor('/namespaces/team/quota', {
      method: 'PUT',
      ...asked,
      ...json({ bytes: 1 }),
    })
    t.equal(response.statusCode, 403)
    t.equal((await askFor('/namespaces/team/usage', asked)).statusCode, 403)
  }
  t.equal((await askFor('/namespaces/team/quota', { method: 'PUT', ...json({ bytes: 1 }) })).statusCode, 401)
})

t.test('only the managers of a namespace read its quota and usage', async (t) => {
  for (const path of ['quota', 'usage']) {
    for (const [as, namespace] of [
      ['alice', 'team'],
      ['olga', 'other'],
      ['olga', 'nowhere'],
      ['robot', 'team'],
    ] as const) {
      const response = await askFor(`/namespaces/${namespace}/${path}`, { as })
      t.equal(response.statusCode, 403, `${as} and ${namespace}`)
    }
  }
  t.equal((await askFor('/namespaces/*/usage', { as: 'olga' })).statusCode, 403)
})

t.test('an invalid quota is refused with the field and the rule', async (t) => {
  const cases = [
    [{ bytes: -1 }, 'bytes'],
    [{ bytes: 1.5 }, 'bytes'],
    [{ bytes: '5' }, 'bytes'],
    [{ bytes: 2 ** 53 }, 'bytes'],
    [{ repositories: true }, 'repositories'],
    [{ bytes: 10, softBytes: 11 }, 'softBytes'],
    [{ size: 1 }, 'size'],
  ] as const
  for (const [body, field] of cases) {
    const response = await put('team', body)
    t.equal(response.statusCode, 400, JSON.stringify(body))
    t.match(response.json(), { field, detail: String })
  }
  for (const namespace of ['Team', 'team%2Fapp', 'a..b', 'x'.repeat(254)])
    t.match((await put(namespace, {})).json(), { status: 400, field: 'namespace' }, namespace)
  t.match((await put('*', {})).json(), { status: 400, field: 'namespace' })
})

t.test(
  'the usage of all namespaces together counts every repository, and lists the largest namespaces',
  async (t) => {
    await sql`update namespace_usage set bytes = case namespace when 'team' then 7 else 3 end`.execute(db)
    const response = await askFor('/namespaces/*/usage', { as: 'root' })
    t.match(response.json(), {
      namespace: '*',
      bytes: Number,
      repositories: 4,
      quota: { bytes: null },
      largest: [
        { namespace: 'team', bytes: 7, repositories: 2 },
        { namespace: 'other', bytes: 3, repositories: 1 },
      ],
    })
  },
)

t.test('a recount by a cluster administrator corrects a wrong usage', async (t) => {
  await sql`update namespace_usage set bytes = 12345`.execute(db)
  t.equal((await askFor('/namespaces/team/usage', { method: 'POST', as: 'olga' })).statusCode, 403)
  const response = await askFor('/namespaces/team/usage', { method: 'POST', as: 'root' })
  t.equal(response.statusCode, 202)
  t.match(response.json(), { bytes: 12345, counting: true })
  await countUsage({ usageCounts: createUsageCountsRepository(db) }, new AbortController().signal)
  const usage = (await askFor('/namespaces/team/usage', { as: 'root' })).json()
  t.match(usage, { bytes: 0, repositories: 2, counting: false })
})
