import type { Access } from '@registry-manager/oci'
import t from 'tap'
import type { EffectiveGrant, PrincipalRights, Role } from '@registry-manager/principal'
import type { Globals } from '../../src/access-tokens/grant.ts'
import { grant, onlyPull, findNotPullable } from '../../src/access-tokens/grant.ts'

const context = { address: '192.0.2.7', now: Date.parse('2027-03-01T12:00:00Z') }
/** The granted access, with global repositories by name. */
const granted = (...[rights, requested, globals]: [PrincipalRights, readonly Access[], Globals?]) =>
  grant(rights, requested, { ...context, ...(globals && { globals }) }).access

/** The mark of a global repository: its number and generation in image-manager. */
const MARK = [17, 2] as const

const repository = (name: string, ...actions: string[]): Access => ({ type: 'repository', name, actions })
const catalog: Access = { type: 'registry', name: 'catalog', actions: ['*'] }
const ALL = ['pull', 'push', 'delete']

const CASES: readonly (readonly [
  role: Role,
  namespaces: readonly string[],
  requested: Access,
  actions: readonly string[],
])[] = [
  ['cluster-administrator', [], repository('team/app', 'pull'), ['pull']],
  ['cluster-administrator', [], repository('team/app', '*'), ALL],
  ['cluster-administrator', [], repository('app', 'pull', 'push'), ['pull', 'push']],
  ['cluster-administrator', [], repository('app', '*'), ALL],
  ['cluster-administrator', [], repository('host:5000/team/app', 'pull'), []],
  ['cluster-administrator', [], repository('Team/app', 'pull'), []],
  ['cluster-administrator', [], repository('team/../app', 'pull'), []],
  ['cluster-administrator', [], repository('team/', 'pull'), []],
  ['cluster-administrator', [], repository('', 'pull'), []],
  ['cluster-administrator', [], repository('*', 'pull'), []],
  ['cluster-administrator', [], repository('team/app', 'frobnicate'), []],
  ['cluster-administrator', [], { type: 'sprocket', name: 'team/app', actions: ['pull'] }, []],
  ['administrator', ['team'], repository('team/app', '*'), ALL],
  ['administrator', ['team'], repository('other/app', 'pull'), []],
  ['administrator', ['team'], repository('app', 'pull'), []],
  ['administrator', [], repository('team/app', 'pull'), []],
  ['user', ['team'], repository('team/app', 'pull'), ['pull']],
  ['user', ['team'], repository('team/app', 'push'), ['push']],
  ['user', ['team'], repository('team/app', 'delete'), ['delete']],
  ['user', ['team'], repository('team/app', 'push', 'pull'), ['pull', 'push']],
  ['user', ['team'], repository('team/app', 'pull', '*'), ALL],
  ['user', ['team'], repository('team/app', 'pull', 'admin'), ['pull']],
  ['user', ['team'], repository('team/a/b', '*'), ALL],
  ['user', ['team'], repository('team', '*'), []],
  ['user', ['team'], repository('teams/app', '*'), []],
  ['user', ['team'], repository('team-b/app', '*'), []],
  ['user', ['team'], repository('team/../other/app', '*'), []],
  ['user', ['team'], repository('team//app', '*'), []],
  ['user', ['team'], repository('team/App', '*'), []],
  ['user', ['team'], repository('team/app:tag', '*'), []],
  ['user', ['team'], repository('host:5000/team/app', '*'), []],
  ['user', ['team/sub'], repository('team/sub/x', 'pull'), ['pull']],
  ['user', ['team/sub'], repository('team/x', 'pull'), []],
  ['user', ['team1/app'], repository('team1/app', '*'), ALL],
  ['administrator', ['team1/app'], repository('team1/app', '*'), ALL],
  ['user', ['team1/app'], repository('team1/app2', '*'), []],
  ['user', ['team1/app'], repository('team1', '*'), []],
  ['user', ['other', 'team'], repository('team/app', 'pull'), ['pull']],
  ['user', ['app'], repository('app', '*'), []],
  ['user', [], repository('team/app', '*'), []],
  ['cluster-administrator', [], catalog, ['*']],
  ['administrator', [], catalog, ['*']],
  ['user', [], catalog, ['*']],
  ['user', [], { ...catalog, actions: ['pull'] }, []],
  ['user', [], { ...catalog, actions: ['pull', '*'] }, ['*']],
  ['user', [], { ...catalog, name: 'other' }, []],
  ['cluster-administrator', [], { ...catalog, name: '*' }, []],
  ['user', ['catalog'], repository('catalog', '*'), []],
]

t.test('a user is granted requested ∩ permitted access', async (t) => {
  for (const [role, namespaces, requested, actions] of CASES) {
    const { type, name } = requested
    const who = `${role}${namespaces.length > 0 ? ` of ${namespaces.join(' and ')}` : ''}`
    const gets = actions.length > 0 ? actions.join(',') : 'nothing'
    t.strictSame(
      granted({ role, namespaces }, [requested]),
      actions.length > 0 ? [{ type, name, actions }] : [],
      `${who} requests ${type}:${name}:${requested.actions.join(',')}, gets ${gets}`,
    )
  }
})

t.test('each requested scope is granted by itself, in the requested order', async (t) => {
  const requested = [
    repository('team/b', 'pull'),
    repository('other/a', 'pull'),
    catalog,
    repository('team/a', '*'),
  ]
  t.strictSame(granted({ role: 'user', namespaces: ['team'] }, requested), [
    repository('team/b', 'pull'),
    catalog,
    repository('team/a', ...ALL),
  ])
  t.strictSame(granted({ role: 'user', namespaces: ['team'] }, []), [])
})

t.test('every user may pull a global repository, and nothing more', async (t) => {
  const globals = new Map(
    ['shared/app', 'app', 'team/app', 'Bad/Name', 'catalog'].map((name) => [name, MARK]),
  )
  const cases: readonly (readonly [Access, readonly string[]])[] = [
    [repository('shared/app', 'pull'), ['pull']],
    [repository('shared/app', '*'), ['pull']],
    [repository('shared/app', 'pull', 'push', 'delete'), ['pull']],
    [repository('shared/app', 'push'), []],
    [repository('shared/app', 'delete'), []],
    [repository('shared/app/sub', 'pull'), []],
    [repository('app', 'pull'), ['pull']],
    [repository('team/app', '*'), ALL],
    [{ type: 'sprocket', name: 'shared/app', actions: ['pull'] }, []],
    [{ type: 'registry', name: 'shared/app', actions: ['pull', '*'] }, []],
  ]
  for (const [requested, actions] of cases) {
    const { type, name } = requested
    t.strictSame(
      granted({ role: 'user', namespaces: ['team'] }, [requested], globals),
      actions.length > 0 ? [{ type, name, actions, ...(name !== 'team/app' && { global: MARK }) }] : [],
      `${type}:${name}:${requested.actions.join(',')}`,
    )
  }
})

t.test('access that comes from a global repository has its mark, if image-manager sends one', async (t) => {
  const alice = { role: 'user', namespaces: ['team'] } as const
  const asked = [
    repository('shared/app', 'pull'),
    repository('shared/old', 'pull'),
    repository('team/app', 'pull'),
  ]
  const globals = new Map([
    ['shared/app', MARK],
    ['shared/old', undefined],
    ['team/app', MARK],
  ])
  t.strictSame(granted(alice, asked, globals), [{ ...asked[0], global: MARK }, asked[1], asked[2]])
  t.notOk(
    'global' in (granted(alice, asked.slice(1, 2), globals)[0] ?? {}),
    'without a mark there is no field',
  )
  const catalog = { type: 'registry', name: 'catalog', actions: ['*'] }
  t.strictSame(
    granted(alice, [catalog], new Map([['catalog', MARK]])),
    [catalog],
    'a global repository named catalog does not mark the catalog',
  )
})

t.test("only repositories that a user's own rights do not cover are looked up as global", async (t) => {
  const requested = [
    repository('team/app', 'pull'),
    repository('other/app', 'pull'),
    repository('app', 'push'),
    repository('Bad/Name', 'pull'),
    repository('host:5000/app', 'pull'),
    { type: 'sprocket', name: 'other/app', actions: ['pull'] },
    catalog,
  ]
  t.strictSame(findNotPullable({ role: 'user', namespaces: ['team'] }, requested, context), [
    'other/app',
    'app',
  ])
  t.strictSame(findNotPullable({ role: 'cluster-administrator', namespaces: [] }, requested, context), [])
})

t.test('offline access has only pulls', async (t) => {
  const access = [
    repository('a', 'pull', 'push', 'delete'),
    repository('b', 'pull'),
    repository('c', 'push'),
    repository('d', 'delete'),
    repository('e', '*'),
    catalog,
  ]
  t.strictSame(onlyPull(access), [repository('a', 'pull'), repository('b', 'pull')])
  t.strictSame(onlyPull([]), [])
})

const DEVELOPER: EffectiveGrant = {
  id: 'g-1',
  repositories: 'team/*',
  role: 'developer',
  actions: ['pull', 'push'],
}
const withGrants = (...grants: EffectiveGrant[]) => ({ role: 'user', namespaces: [], grants }) as const

t.test('a user gets the access that a grant permits', async (t) => {
  const jane = withGrants(DEVELOPER)
  t.strictSame(granted(jane, [repository('team/app', '*')]), [repository('team/app', 'pull', 'push')])
  t.strictSame(granted(jane, [repository('team', '*'), repository('other/app', '*')]), [])
  const reader = { ...DEVELOPER, repositories: 'team/app', actions: ['pull'] } as const
  t.strictSame(granted(withGrants(reader), [repository('team/app', '*'), repository('team/b', '*')]), [
    repository('team/app', 'pull'),
  ])
})

t.test('a registry token has its grants besides its scopes', async (t) => {
  const token = { scopes: [repository('own/app', 'pull')], grants: [DEVELOPER] }
  const requested = [repository('own/app', '*'), repository('team/app', 'push')]
  t.strictSame(granted(token, requested), [repository('own/app', 'pull'), repository('team/app', 'push')])
})

t.test('access that depends on the network has an entry of its own', async (t) => {
  const limited = { ...DEVELOPER, conditions: { networks: ['192.0.2.0/24'] } }
  const reader = { ...DEVELOPER, id: 'g-2', role: 'reader', actions: ['pull'] } as const
  const requested = [repository('team/app', 'pull', 'push')]
  t.strictSame(granted(withGrants(limited, reader), requested), [
    repository('team/app', 'pull'),
    { ...repository('team/app', 'push'), networks: ['192.0.2.0/24'] },
  ])
  const elsewhere = { ...context, address: '198.51.100.1' }
  t.strictSame(grant(withGrants(limited), requested, elsewhere), { access: [] })
  t.strictSame(findNotPullable(withGrants(limited), requested, context), ['team/app'])
  t.strictSame(
    granted(withGrants(limited), requested, new Map([['team/app', MARK]])),
    [
      { ...repository('team/app', 'pull'), global: MARK },
      { ...repository('team/app', 'push'), networks: ['192.0.2.0/24'] },
    ],
    'a global repository may be pulled from everywhere',
  )
})

t.test('a tag pattern limits pushes only', async (t) => {
  const limited = { ...DEVELOPER, actions: ALL, conditions: { tags: 'v*' } } as EffectiveGrant
  t.strictSame(granted(withGrants(limited), [repository('team/app', '*')]), [
    repository('team/app', 'pull', 'delete'),
    { ...repository('team/app', 'push'), tags: 'v*' },
  ])
})

t.test('access ends with the grants that it depends on', async (t) => {
  const until = (notAfter: string) => ({ ...DEVELOPER, conditions: { notAfter } })
  const requested = [repository('team/app', 'pull')]
  const [early, late] = ['2027-03-01T12:01:00.900Z', '2027-03-01T12:02:00.000Z']
  t.strictSame(grant(withGrants(until(early), until(late)), requested, context), {
    access: requested,
    notAfter: Date.parse(late) / 1000,
  })
  t.equal(
    grant(withGrants(until(early)), requested, context).notAfter,
    Date.parse('2027-03-01T12:01:00Z') / 1000,
  )
  t.equal(grant(withGrants(until(early), DEVELOPER), requested, context).notAfter, undefined)
  t.strictSame(grant(withGrants(until('2027-03-01T12:00:00.000Z')), requested, context), { access: [] })
})
