import { patternCovers } from '@registry-manager/oci'
import t from 'tap'
import { catalogVisibility, managementVisibility } from '../../src/index/visibility.ts'
import { startImageManager } from '../fixtures/image-manager.ts'

const { ask, askInternal, fill, personalToken, token } = await startImageManager(t)
const REPOSITORIES = {
  alpine: 'namespace',
  'other/app': 'namespace',
  'other/global': 'global',
  'team/app': 'namespace',
  'team/global': 'global',
  'team/sub/app': 'namespace',
} as const
const NAMES = Object.keys(REPOSITORIES)
const CONTEXT = { address: '192.0.2.7', now: Date.now() }
const IN_TEAM = ['team/app', 'team/global', 'team/sub/app']
const namesIn = (json: { repositories: { name: string }[] }) => json.repositories.map(({ name }) => name)
const scope = (name: string, ...actions: string[]) => ({ type: 'repository', name, actions })

t.beforeEach(() => fill(REPOSITORIES))

t.test('a personal token lists the repositories that both its owner and its scopes may pull', async (t) => {
  for (const [owner, visible] of [
    ['alice', ['team/app']],
    ['root', IN_TEAM],
  ] as const) {
    t.strictSame(namesIn((await ask('', { bearer: personalToken(owner, null) })).json()), visible, owner)
    const catalog = await askInternal(`/internal/catalog?uid=${owner}&via=laptop`)
    t.strictSame(catalog.json(), { names: visible, more: false }, `the catalog of ${owner}`)
  }
  t.strictSame(namesIn((await ask('', { bearer: personalToken('olga', null) })).json()), NAMES)
  const ofOlga = await askInternal('/internal/catalog?uid=olga&via=laptop')
  t.strictSame(ofOlga.json().names, ['other/global', ...IN_TEAM], 'the catalog shows own and global ones')
})

t.test('a personal token that has ended sees nothing', async (t) => {
  t.strictSame((await askInternal('/internal/catalog?uid=alice&via=ended')).json(), {
    names: [],
    more: false,
  })
})

t.test('a personal token sees nothing where its conditions do not hold', async (t) => {
  const refused = await ask('', { bearer: personalToken('olga', null, 'elsewhere') })
  t.equal(refused.statusCode, 403)
  t.match(refused.json().detail, 'this token has a condition: it applies to clients in 192.0.2.0/24 only')
  const catalog = await askInternal('/internal/catalog?uid=olga&via=elsewhere')
  t.strictSame(catalog.json(), { names: [], more: false })
})

t.test('a personal token changes only repositories that its scopes permit by name', async (t) => {
  const bearer = personalToken('root', null)
  const payload = '{"scope":"global"}'
  for (const name of NAMES) {
    const [seen, isOwn] = [IN_TEAM.includes(name), name.startsWith('team/')]
    t.equal((await ask(`/${name}`, { bearer })).statusCode, seen ? 200 : 404, `GET ${name}`)
    const put = await ask(`/${name}`, { method: 'PUT', bearer, payload })
    t.equal(put.statusCode, seen ? 403 : 404, `PUT ${name}`)
    const deleted = await ask(`/${name}`, { method: 'DELETE', bearer })
    t.equal(deleted.statusCode < 300, isOwn, `DELETE ${name}: ${deleted.statusCode}`)
  }
  await fill(REPOSITORIES)
  const readOnly = personalToken('olga', null)
  t.equal((await ask('/team/app', { bearer: readOnly })).statusCode, 200)
  t.equal((await ask('/team/app', { method: 'DELETE', bearer: readOnly })).statusCode, 403)
  t.equal((await ask('/team/app', { method: 'DELETE', bearer: token('olga', null) })).statusCode < 300, true)
})

t.test(
  'the visibility of a personal token covers the repositories that its owner and its scopes cover',
  async (t) => {
    const namespaces = ['team', 'lab/app']
    const limits = [
      ['*'],
      ['team/*'],
      ['team/sub/*', 'lab/app'],
      ['lab/*', 'team/app'],
      ['lab/app/*'],
      ['x/*'],
    ]
    const names = ['team', 'team/app', 'team/sub/x', 'lab/app', 'lab/app/x', 'lab/other', 'x/y']
    for (const patterns of limits) {
      const limitedTo = patterns.map((name) => scope(name, 'pull'))
      const user = { role: 'user', namespaces, limitedTo: [...limitedTo, scope('*', 'delete')] } as const
      const visibility = catalogVisibility(user, CONTEXT)
      t.strictSame(managementVisibility(user, CONTEXT), visibility)
      if (visibility.kind !== 'patterns') throw new Error(`the visibility is ${visibility.kind}`)
      t.strictSame(visibility.global, patterns)
      for (const name of names) {
        const isOwn = name.startsWith('team/') || name === 'lab/app' || name.startsWith('lab/app/')
        const expected = isOwn && patterns.some((pattern) => patternCovers(pattern, name))
        const covers = visibility.patterns.some((pattern) => patternCovers(pattern, name))
        t.equal(covers, expected, `${patterns} on ${name}`)
      }
    }
  },
)
