import t from 'tap'
import { startImageManager } from '../fixtures/image-manager.ts'

const { ask, askInternal, auth, fill, token } = await startImageManager(t)
const REPOSITORIES = {
  alpine: 'namespace',
  'lab/app': 'namespace',
  'other/app': 'namespace',
  'other/global': 'global',
  'team/app': 'namespace',
  'team/sub/app': 'global',
} as const
const VISIBLE = ['other/app', 'team/app', 'team/sub/app']
const namesIn = (json: { repositories: { name: string }[] }) => json.repositories.map(({ name }) => name)
const CATALOG = [{ type: 'registry', name: 'catalog', actions: ['*'] }]

t.beforeEach(() => fill(REPOSITORIES))

t.test(
  'a registry token lists the repositories that it may pull, and no others that are global',
  async (t) => {
    t.strictSame(namesIn((await ask('', { as: 'robot' })).json()), VISIBLE)
    t.strictSame(namesIn((await ask('', { bearer: token('robot', null) })).json()), VISIBLE)
    t.strictSame(namesIn((await ask('', { bearer: token('robot', CATALOG) })).json()), VISIBLE)
    t.strictSame(namesIn((await ask('', { as: 'every-robot' })).json()), Object.keys(REPOSITORIES))
    const pull = [{ type: 'repository', name: 'team/app', actions: ['pull'] }]
    t.equal(
      (await ask('', { bearer: token('robot', pull) })).statusCode,
      403,
      'an access token needs registry:catalog:* to list',
    )
  },
)

t.test('a registry token’s list comes in pages', async (t) => {
  const first = await ask('?limit=2', { as: 'robot' })
  t.strictSame(namesIn(first.json()), VISIBLE.slice(0, 2))
  const next = new URL(String(/^<(.*)>/.exec(String(first.headers.link))?.[1]), 'http://x')
  const last = await ask(next.search, { as: 'robot' })
  t.strictSame([namesIn(last.json()), last.headers.link], [VISIBLE.slice(2), undefined])
})

t.test('the catalog shows a registry token the same repositories', async (t) => {
  t.strictSame((await askInternal('/internal/catalog?uid=robot')).json(), { names: VISIBLE, more: false })
  const page = await askInternal('/internal/catalog?uid=robot&n=1&last=other/app')
  t.strictSame(page.json(), { names: ['team/app'], more: true })
})

t.test('a workload sees the repositories of all trust rules that accept its token', async (t) => {
  const both = [...VISIBLE, ...Object.keys(REPOSITORIES).filter((name) => name.startsWith('other/'))]
  const expected = [...new Set(both)].toSorted()
  const catalog = await askInternal('/internal/catalog?uid=robot&rules=rule-of-other')
  t.strictSame(catalog.json(), { names: expected, more: false })
  const bearer = auth.token('robot', null, 'workload:team/a', {
    kind: 'workload',
    rules: [['rule-of-other', 1]],
  })
  t.strictSame(namesIn((await ask('', { bearer })).json()), expected)
})

t.test('a registry token gets repositories that it may pull, and changes none', async (t) => {
  for (const name of Object.keys(REPOSITORIES)) {
    const visible = VISIBLE.includes(name)
    t.equal((await ask(`/${name}`, { as: 'robot' })).statusCode, visible ? 200 : 404, `GET ${name}`)
    const payload = '{"scope":"global"}'
    const put = await ask(`/${name}`, { method: 'PUT', as: 'robot', payload })
    t.equal(put.statusCode, visible ? 403 : 404, `PUT ${name}`)
    t.equal(
      (await ask(`/${name}`, { method: 'DELETE', as: 'robot' })).statusCode,
      visible ? 403 : 404,
      `DELETE ${name}`,
    )
    for (const [method, status] of [
      ['GET', 200],
      ['PUT', 403],
      ['DELETE', 403],
    ] as const) {
      t.equal(
        (await ask(`/${name}`, { method, as: 'every-robot', payload })).statusCode,
        status,
        `${method} ${name}`,
      )
    }
    const access = [{ type: 'repository', name, actions: ['pull', 'push', 'delete'] }]
    const deleted = await ask(`/${name}`, { method: 'DELETE', bearer: token('robot', access) })
    t.equal(deleted.statusCode, visible ? 403 : 404, `DELETE ${name} by a scoped token`)
  }
  t.strictSame(
    namesIn((await ask('', { as: 'root' })).json()),
    Object.keys(REPOSITORIES),
    'no repository was deleted',
  )
})
